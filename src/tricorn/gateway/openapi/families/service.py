"""Health, figures, events, logs, and the description itself"""

from __future__ import annotations

from tricorn.gateway.openapi.answers import service as answers
from tricorn.gateway.openapi.failures import BODY, MANAGER, NAMED, QUERY
from tricorn.gateway.openapi.operation import SSE, Answer, Family, Operation, Parameter, json
from tricorn.schemas.management import LOG_LEVELS, LogLevelRequest

FAMILY = Family(
    "Service",
    "Whether Tricorn is well, and what it does.",
    (
        Operation(
            "get",
            "/",
            "about",
            "What this is",
            answers=(json(answers.About),),
            errors=(),
        ),
        Operation(
            "get",
            "/health",
            "health",
            "This process is up",
            answers=(json(answers.Health),),
            errors=(),
        ),
        Operation(
            "get",
            "/ready",
            "ready",
            "Whether a request could be served now",
            answers=(
                json(answers.Readiness, about="It could."),
                json(answers.Readiness, about="It could not, and why.", status=503),
            ),
            errors=(),
        ),
        Operation(
            "get",
            "/v1/system/status",
            "systemStatus",
            "What is used, what was served, what is loaded",
            answers=(json(answers.SystemStatus),),
            errors=MANAGER,
        ),
        Operation(
            "get",
            "/v1/system/health",
            "systemHealth",
            "Whether it is well, with the models that are not",
            answers=(
                json(answers.SystemHealth, about="Requests can be served."),
                json(answers.SystemHealth, about="None can, and why.", status=503),
            ),
            errors=(),
        ),
        Operation(
            "get",
            "/v1/system/metrics",
            "systemMetrics",
            "What the machine and Tricorn use, and what was served",
            answers=(json(answers.SystemMetrics),),
            errors=MANAGER,
        ),
        Operation(
            "get",
            "/metrics",
            "metrics",
            "What Prometheus reads",
            answers=(Answer({"text/plain": ()}, "In Prometheus' text format."),),
            errors=MANAGER,
        ),
        Operation(
            "get",
            "/v1/events",
            "events",
            "What happens to models, as events; without end",
            parameters=(
                Parameter(
                    "after",
                    "The id of the last event that is known: what was missed since comes first.",
                    {"type": "integer", "minimum": 0},
                ),
                Parameter("Last-Event-ID", "The same, as browsers send it.", place="header"),
            ),
            answers=(Answer({SSE: (answers.TricornEvent,)}),),
            errors=(*MANAGER, *QUERY),
        ),
        Operation(
            "get",
            "/v1/logs/recent",
            "recentLogs",
            "The last lines of the log files, the oldest first",
            parameters=(
                Parameter(
                    "limit",
                    "How many.",
                    {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
                ),
                Parameter(
                    "level", "From this level on.", {"type": "string", "enum": list(LOG_LEVELS)}
                ),
                Parameter("model", "Only of this model."),
            ),
            answers=(json(answers.LogLines),),
            errors=(*MANAGER, *QUERY),
        ),
        Operation(
            "post",
            "/v1/admin/log-level",
            "setLogLevel",
            "Log from this level on, until the next start",
            body=(LogLevelRequest,),
            examples={"more": {"level": "DEBUG"}},
            answers=(json(answers.LogLevel),),
            errors=(*BODY, *MANAGER),
        ),
        Operation(
            "get",
            "/openapi.json",
            "openapi",
            "This description",
            answers=(json(about="As OpenAPI 3.1."),),
            errors=(),
        ),
        Operation(
            "get",
            "/docs",
            "docs",
            "This description, to be read and tried",
            answers=(Answer({"text/html": ()}, "Swagger UI."),),
            errors=(),
        ),
        Operation(
            "get",
            "/docs/{file}",
            "docsFile",
            "What the page needs",
            answers=(
                Answer({"text/css": (), "text/javascript": (), "image/svg+xml": ()}, "The file."),
            ),
            errors=NAMED,
        ),
    ),
)
