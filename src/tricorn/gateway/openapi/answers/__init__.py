"""What answers look like, one file an API family: for the description of the API alone.

Answers are made elsewhere, as plain objects, by what is quicker than these models (`tricorn.chat`,
the manager's orders). A test holds the two together: every answer that the fuzzing gets has all
fields that stand here, and no other. A field without a default is always there; one that may be
left out has the default None.
"""
