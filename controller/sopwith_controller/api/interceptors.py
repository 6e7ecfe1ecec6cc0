"""What every call passes on its way in and out: identity, standing, role, errors, one log line.

This module decides the order: the certificate names the caller (the handshake verified it), `Access` knows whether that
is still somebody, the role table says whether they may; only then the servicer runs. On the way out every error becomes
a status by `api.errors`, and one line is logged. Servicers get the caller by `caller(context)` and know nothing of
certificates.

Rules: deny by default; a refusal is recorded in the update log, the same one at most once a minute, so that nobody can
fill the log by knocking; a call that is running when its caller is cut ends at once with UNAUTHENTICATED; no text of an
unforeseen error travels.
"""

import asyncio
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Protocol

import grpc
import structlog
from grpc import aio

from sopwith_certs.errors import TrustError as CertsTrustError
from sopwith_certs.identity import identity_of_peer
from sopwith_controller.api.errors import Answer, answer_to
from sopwith_controller.api.roles import COMPUTER, ROLES, allowed
from sopwith_controller.domain.errors import Refusal, RefusedError, TrustError
from sopwith_controller.domain.evaluation import PROFILE
from sopwith_controller.services.access import Access, Caller, role_refusal
from sopwith_formats.errors import FormatError

RECORD_REFUSAL_EVERY_SECONDS = 60.0
PROFILE_KEY = "sopwith-profile"
"""Initial metadata of every answer to a person while an evaluation lasts, so that every screen is stamped."""
_REFUSALS_KEPT = 10_000

_log = structlog.get_logger()
_caller: ContextVar[Caller] = ContextVar("sopwith_caller")


def caller(context: Any) -> Caller:
    """Return who makes the running call; `context` is asked for so that nobody calls this outside of one."""
    del context
    return _caller.get()


class RefusalRecorder(Protocol):
    """Writes a refused call into the update log."""

    async def refused(self, who: str, kind: str, method: str, reason: str) -> None:
        """Record it."""
        ...

    async def gate_refused(self, who: str, method: str, refusal: Refusal) -> None:
        """Record that a gate of the SOP said no to somebody who may ask."""
        ...


class Gatekeeper(aio.ServerInterceptor):
    """The one interceptor."""

    def __init__(self, access: Access, trust_domain: str, recorder: RefusalRecorder) -> None:
        self._access = access
        self._trust_domain = trust_domain
        self._recorder = recorder
        self._recorded: dict[tuple[str, str], float] = {}
        self._running: dict[str, dict[asyncio.Task[Any], str]] = defaultdict(dict)
        access.on_cut(self.cut)

    def cut(self, subject_id: str, reason: str) -> None:
        """End the running calls of somebody."""
        for task in list(self._running.get(subject_id, {})):
            self._running[subject_id][task] = reason
            task.cancel()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the call's handler; an unknown call stays UNIMPLEMENTED."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method: str = handler_call_details.method
        codecs = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.request_streaming and handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(self._streaming(method, handler.stream_stream), **codecs)
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(self._streaming(method, handler.unary_stream), **codecs)
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(self._unary(method, handler.stream_unary), **codecs)
        return grpc.unary_unary_rpc_method_handler(self._unary(method, handler.unary_unary), **codecs)

    def _unary(self, method: str, behavior: Callable[..., Any]) -> Callable[..., Any]:
        async def call(request: Any, context: Any) -> Any:
            async def work() -> Any:
                answer = behavior(request, context)
                return await answer if asyncio.iscoroutine(answer) else answer

            return await self._guard(method, context, work, getattr(request, "request_id", ""))

        return call

    def _streaming(self, method: str, behavior: Callable[..., Any]) -> Callable[..., Any]:
        async def call(request: Any, context: Any) -> None:
            async def work() -> None:
                answers = behavior(request, context)
                if isinstance(answers, AsyncGenerator):
                    # Closed here and not by the garbage collector: what the call holds is let go when it ends.
                    async with aclosing(answers):
                        async for answer in answers:
                            await context.write(answer)
                else:
                    await answers

            await self._guard(method, context, work)

        return call

    async def _guard(self, method: str, context: Any, work: Callable[[], Awaitable[Any]], request_id: str = "") -> Any:
        started, call_id = time.monotonic(), secrets.token_hex(4)
        answer: Answer | None = None
        who: Caller | None = None
        try:
            who = self._admit(context)
            if self._access.profile == PROFILE and who.kind == "person":
                await context.send_initial_metadata(((PROFILE_KEY, PROFILE),))
            _check_role(who, method)
            token = _caller.set(replace(who, request_id=request_id))
            try:
                return await self._cuttable(who, work)
            finally:
                _caller.reset(token)
        except _CutError as error:
            answer = Answer(grpc.StatusCode.UNAUTHENTICATED, f"the connection was cut: {error}")
        except aio.AbortError:
            raise
        except asyncio.CancelledError:
            answer = Answer(grpc.StatusCode.CANCELLED, "the caller went away")
            raise
        except Exception as error:  # noqa: BLE001  every error ends here and becomes a status
            answer = await self._answer(error, method, who, call_id)
        finally:
            self._log_line(method, who, answer, started)
        await context.abort(answer.code, answer.details, answer.metadata)
        raise AssertionError  # abort raises

    def _admit(self, context: Any) -> Caller:
        try:
            identity = identity_of_peer(context.auth_context(), self._trust_domain)
        except (CertsTrustError, FormatError) as error:
            raise _UnauthenticatedError(str(error)) from error
        try:
            return self._access.admit(identity.kind.value, identity.id, identity.serial)
        except TrustError as error:
            raise _UnauthenticatedError(f"{error.message}\n{error.remedy}", f"{identity.kind}/{identity.id}") from error

    async def _cuttable(self, who: Caller, work: Callable[[], Awaitable[Any]]) -> Any:
        task = asyncio.current_task()
        if task is None:
            return await work()
        self._running[who.id][task] = ""
        try:
            return await work()
        except asyncio.CancelledError:
            reason = self._running[who.id][task]
            if not reason:
                raise
            task.uncancel()
            raise _CutError(reason) from None
        finally:
            self._running[who.id].pop(task, None)
            if not self._running[who.id]:
                del self._running[who.id]

    async def _answer(self, error: Exception, method: str, who: Caller | None, call_id: str) -> Answer:
        if isinstance(error, _UnauthenticatedError):
            await self._record(error.subject, "unknown", method, str(error).splitlines()[0])
            return Answer(grpc.StatusCode.UNAUTHENTICATED, str(error))
        answer = answer_to(error, call_id)
        if answer.code is grpc.StatusCode.INTERNAL:
            _log.error("call_failed", method=method, call=call_id, exc_info=error)
        if who is not None and isinstance(error, RefusedError):
            if error.refusal.gate == "operator_role":
                await self._record(who.name or who.id, who.kind, method, error.message)
            elif who.kind == "person":
                await self._note(self._recorder.gate_refused(who.name, method, error.refusal), method)
        return answer

    async def _record(self, who: str, kind: str, method: str, reason: str) -> None:
        now, key = time.monotonic(), (who, method)
        if not who or now - self._recorded.get(key, -RECORD_REFUSAL_EVERY_SECONDS) < RECORD_REFUSAL_EVERY_SECONDS:
            return
        if len(self._recorded) >= _REFUSALS_KEPT:
            self._recorded.clear()
        self._recorded[key] = now
        await self._note(self._recorder.refused(who, kind, method, reason), method)

    async def _note(self, writing: Awaitable[None], method: str) -> None:
        try:
            await writing
        except Exception:  # noqa: BLE001  a full disk must not turn a refusal into another answer
            _log.exception("refusal_not_recorded", method=method)

    def _log_line(self, method: str, who: Caller | None, answer: Answer | None, started: float) -> None:
        code = answer.code.name if answer else "OK"
        log = _log.info if code in ("OK", "NOT_FOUND", "CANCELLED") else _log.warning
        log(
            "call_ended",
            method=method.rpartition(".")[2],
            caller=f"{who.kind}/{who.name or who.id}" if who else "",
            code=code,
            milliseconds=round((time.monotonic() - started) * 1000),
        )


def _check_role(who: Caller, method: str) -> None:
    if not allowed(method, _roles_of(who)):
        name = method.rpartition("/")[2]
        raise RefusedError(role_refusal(who, ROLES.get(method, frozenset()), f"call {name}"))


def _roles_of(who: Caller) -> frozenset[str]:
    return frozenset({COMPUTER}) if who.kind == "computer" else who.roles


class _CutError(Exception):
    """The caller lost the right to be here while the call ran."""


class _UnauthenticatedError(Exception):
    """The certificate's holder is nobody; `subject` is who it says, empty when it says nothing."""

    def __init__(self, message: str, subject: str = "") -> None:
        self.subject = subject
        super().__init__(message)
