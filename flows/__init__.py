"""When and where: Prefect flows, the command line, and what it shows."""
