"""`sopwith demo`: shows one whole update on real parts, in a minute."""

from pathlib import Path

import click


@click.command("demo", epilog="Example: sopwith demo --keep --dir my-fleet")
@click.option("--keep", is_flag=True, help="Leave the fleet running and print what to type next.")
@click.option("--dir", "folder", type=click.Path(path_type=Path), default=None, help="Empty or new folder to play in.")
def command(keep: bool, folder: Path | None) -> None:
    """Show one whole update on real parts, in a minute."""
    from sopwith_controller.desk.demo import perform

    path = perform(folder, keep=keep, say=lambda text: print(text, flush=True))
    print(f"\nThe whole story on one page: {path}")
    print("DEMO OK")
