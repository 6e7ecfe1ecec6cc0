"""Making a large answer at once, without the garbage collector walking through the whole fleet in between.

Python looks for rings of dead objects whenever many new ones were made, and looks at everything that is kept while it
does: with the mirrors of a hundred thousand computers in memory that takes longer than the answer itself. What is made
here holds no rings; reference counts free it.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Let the collector wait until the block has ended; the block must not wait for anything."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
