"""People: accounts, passwords, sign-in, invitations, roles, and what is written down about it."""
