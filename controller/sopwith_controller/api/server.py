"""The fleet port: one gRPC server for computers and people, mTLS only.

This module decides the server's options and its beginning and end; which servicers it carries is `bootstrap`'s choice.

Rules: the port is bound before anybody is told that the controller is ready; messages are small, so that no stranger's
message costs much memory; a storm of reconnecting computers is queued and not refused; on the way down new calls are
refused, running unary calls get their time, and streams are told to come back.
"""

from collections.abc import Callable, Sequence
from typing import Any

import grpc
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from sopwith_controller.api.interceptors import Gatekeeper
from sopwith_controller.domain.errors import UnavailableError

MESSAGE_SIZE_MAX_BYTES = 8 * 2**20
"""Metadata of a large source comes as one message; what a computer may send is bounded in `agent_api`."""
PENDING_REQUESTS_MAX = 20_000
KEEPALIVE_MILLISECONDS = 60_000
KEEPALIVE_TIMEOUT_MILLISECONDS = 20_000

OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.max_receive_message_length", MESSAGE_SIZE_MAX_BYTES),
    ("grpc.max_send_message_length", 64 * 2**20),
    ("grpc.server.max_pending_requests", PENDING_REQUESTS_MAX),
    ("grpc.server.max_pending_requests_hard_limit", 2 * PENDING_REQUESTS_MAX),
    ("grpc.keepalive_time_ms", KEEPALIVE_MILLISECONDS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MILLISECONDS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 5),
    ("grpc.so_reuseport", 0),
)

Registration = Callable[[aio.Server], None]


class FleetServer:
    """The server between its start and its end."""

    def __init__(
        self,
        address: str,
        credentials: grpc.ServerCredentials,
        gatekeeper: Gatekeeper,
        registrations: Sequence[Registration],
        *,
        reflection: bool = False,
    ) -> None:
        self._server = aio.server(interceptors=[gatekeeper], options=list(OPTIONS))
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        for register in registrations:
            register(self._server)
        if reflection:
            _reflect(self._server)
        try:
            self.port: int = self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise UnavailableError(
                f"cannot listen on {address} for the fleet",
                remedy="end what uses this port, or change listen and fleet_port in sopwith.toml",
            ) from error

    async def start(self) -> None:
        """Begin to serve."""
        await self._server.start()
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace_seconds: float) -> None:
        """Refuse new calls, give running ones their time, end."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_seconds)


def _reflect(server: Any) -> None:
    from grpc_reflection.v1alpha import reflection

    from sopwith_controller.api.roles import ROLES

    names = {method.split("/")[1] for method in ROLES if method.startswith("/sopwith.")}
    reflection.enable_server_reflection([*sorted(names), reflection.SERVICE_NAME], server)
