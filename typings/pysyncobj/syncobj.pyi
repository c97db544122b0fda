"""Only its presence and its file are used."""
