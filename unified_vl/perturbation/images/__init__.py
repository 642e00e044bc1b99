"""Pictures that are worse than they were."""
