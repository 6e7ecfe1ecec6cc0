"""The version of this distribution, where every program finds it without importing anything else."""

VERSION = "0.1.0"
