"""Who is who: the authority, identities read from certificates, credentials, renewal and signing."""
