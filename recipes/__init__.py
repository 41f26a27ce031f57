"""How what is shipped was made."""
