"""Models from a hub: what a name means, which files of a repository are right, and fetching them.

`names`, `quants` and `selection` are pure. `repository` and what builds on it import
huggingface_hub; they run in a process of their own (`python -m tricorn.hub`) or in the command
line, never in the gateway or the manager, which know no more than `names`, `updates` and
`environment`.
"""
