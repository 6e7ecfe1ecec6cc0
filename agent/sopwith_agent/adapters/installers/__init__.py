"""One contract, one module per kind of installer."""
