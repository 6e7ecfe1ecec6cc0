"""`sopwith source`: designate and look after the source of update files."""

from pathlib import Path
from typing import Any

import click

from sopwith.v1 import release_service_pb2 as pb
from sopwith_controller.cli.output import emit_document, print_facts, print_table, tell, time_text, to_document
from sopwith_controller.cli.passphrases import Passphrases, passphrase_option
from sopwith_controller.cli.verbs import agree, connected, noun, state, verb

group = noun("source", "Designate and look after the source of update files.")

folder = click.Path(path_type=Path, file_okay=False)
keys_option = click.option("--keys", required=True, type=folder, help="Folder that holds the source's keys.")
yes_option = click.option("--yes", is_flag=True, help="Answer the question with yes.")


@verb(group, "init", example="sopwith source init --keys keys --backup-keys /media/stick/sopwith")
@click.option("--keys", required=True, type=folder, help="New folder for the keys that are worked with.")
@click.option("--backup-keys", required=True, type=folder, help="New folder elsewhere for the second root key.")
@passphrase_option
def init(keys: Path, backup_keys: Path, passphrase_file: Path | None) -> None:
    """Make the source's keys on this machine and designate the source."""
    from sopwith_controller.desk.source_keeping import init_source
    from sopwith_controller.desk.source_keys import different_folders

    different_folders(keys, backup_keys)
    with connected() as connection:
        passphrase = Passphrases(passphrase_file).for_new_keys("the source's keys")
        done = init_source(connection, keys, backup_keys, passphrase)
    if state().output in ("json", "yaml"):
        document = {"root_sha256": done.root_sha256, "keys": str(done.keys), "backup_keys": str(done.backup)}
        emit_document(state().output, document)
        return
    print_facts([("root", f"sha256:{done.root_sha256}"), ("keys", str(done.keys)), ("backup", str(done.backup))])
    tell(
        f"The source is designated. Hand {keys} to the release manager, or make a key for them with"
        f" `sopwith source keys`; keep {backup_keys} on another medium: it replaces what gets lost."
    )


@verb(group, "status", example="sopwith source status")
def status() -> None:
    """Show what is signed, by whom, and until when."""
    with connected() as connection:
        reply = connection.call(connection.releases.GetSource, pb.GetSourceRequest())
    if state().output in ("json", "yaml"):
        document = to_document(reply)
        document["metadata"] = [file.name for file in reply.metadata]
        emit_document(state().output, document)
        return
    if not reply.designated:
        tell("no source is designated; next: sopwith source init --keys DIR --backup-keys DIR2")
        return
    print_facts(
        [
            ("root", f"sha256:{reply.root_sha256}"),
            ("files signed", str(reply.targets)),
            ("metadata at", reply.metadata_url),
            ("files at", reply.files_url),
        ]
    )
    print()
    rows = [[role.name, str(role.version), time_text(role, "expires_time"), _keys(role)] for role in reply.roles]
    print_table(["ROLE", "VERSION", "EXPIRES", "KEYS"], rows)


@verb(group, "sign", example="sopwith source sign --keys keys")
@keys_option
@passphrase_option
def sign(keys: Path, passphrase_file: Path | None) -> None:
    """Sign what is listed for another year."""
    from sopwith_controller.desk.source_keeping import sign_anew
    from sopwith_controller.desk.source_keys import KeysFolder

    with connected() as connection:
        count = sign_anew(connection, KeysFolder(keys), Passphrases(passphrase_file).for_key)
    _done({"signed": count}, f"signed {count} files of metadata anew")


@verb(group, "keys", example="sopwith source keys --keys keys --out manager-keys")
@keys_option
@click.option("--out", required=True, type=folder, help="New folder for the new release key.")
@passphrase_option
@click.option("--new-passphrase-file", type=click.Path(path_type=Path), help="Passphrase of the new key.")
@yes_option
def keys(keys: Path, out: Path, passphrase_file: Path | None, new_passphrase_file: Path | None, yes: bool) -> None:
    """Make a new release key for the release manager; the old one ends."""
    from sopwith_controller.desk.source_keeping import replace_release_key
    from sopwith_controller.desk.source_keys import KeysFolder

    agree("The present release key will count for nothing any more. Go on?", yes=yes)
    with connected() as connection:
        new = Passphrases(new_passphrase_file).for_new_keys("the new release key")
        replace_release_key(connection, KeysFolder(keys), KeysFolder(out), Passphrases(passphrase_file).for_key, new)
    _done({"keys": str(out)}, f"wrote {out}; hand it to the release manager, and delete the old targets_key.pem")


@verb(group, "recover", example="sopwith source recover --backup-keys /media/stick/sopwith --keys new-keys")
@click.option("--backup-keys", required=True, type=folder, help="Folder of the second root key.")
@click.option("--keys", required=True, type=folder, help="New folder for the new keys.")
@passphrase_option
@click.option("--new-passphrase-file", type=click.Path(path_type=Path), help="Passphrase of the new keys.")
@yes_option
def recover(
    backup_keys: Path, keys: Path, passphrase_file: Path | None, new_passphrase_file: Path | None, yes: bool
) -> None:
    """Replace lost or stolen keys with the help of the backup key."""
    from sopwith_controller.desk.source_keeping import recover as recover_keys
    from sopwith_controller.desk.source_keys import KeysFolder

    agree("All present keys but the backup key will count for nothing any more. Go on?", yes=yes)
    with connected() as connection:
        new = Passphrases(new_passphrase_file).for_new_keys("the new keys")
        old = Passphrases(passphrase_file).for_key
        recover_keys(connection, KeysFolder(backup_keys), KeysFolder(keys), old, new)
    _done({"keys": str(keys)}, f"wrote {keys}; everything listed is signed with the new keys")


def _keys(role: Any) -> str:
    return ", ".join(key_id[:16] for key_id in role.key_ids)


def _done(document: dict[str, Any], text: str) -> None:
    if state().output in ("json", "yaml"):
        emit_document(state().output, document)
    else:
        tell(text)
