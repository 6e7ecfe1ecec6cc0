"""Every clause of the source texts as a row: what it became, which tests show it, and what they said."""
