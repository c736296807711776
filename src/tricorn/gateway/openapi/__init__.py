"""The description of the API: `/openapi.json`, and what `/docs` shows.

    operation    what is said of one route
    failures     which errors routes may answer with
    families/    all routes, one file an API family
    answers/     what answers look like
    schemas      from pydantic's models to JSON schemas
    document     all of it together, as OpenAPI 3.1

A new route gets an `Operation` in its family's file; a test compares them with the routes of the
gateway.
Nothing here takes part in answering: requests are read by `tricorn.schemas`, whose models are
described as they are. Imported when somebody first asks for the description.
"""
