"""Sopwith's tests: fast ones mirror the packages, contracts run on fakes and adapters, system ones start processes."""
