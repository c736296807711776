"""Load, unload, watch, pull and delete models"""

from __future__ import annotations

from tricorn.errors import Conflict
from tricorn.gateway.openapi.answers import common
from tricorn.gateway.openapi.answers import models as answers
from tricorn.gateway.openapi.answers.service import Reloaded, RestartedGateway
from tricorn.gateway.openapi.failures import BODY, DELETION, LOAD, MANAGER, ORDER, PULL, QUERY
from tricorn.gateway.openapi.operation import (
    JSON,
    MODEL,
    SSE,
    Answer,
    Family,
    Operation,
    Parameter,
    json,
)
from tricorn.schemas.management import LoadRequest, PullRequest

_YES = {"type": "boolean"}
WAIT = Parameter("wait", "false: answer 202 at once. Over the body's field of that name.", _YES)
STREAM = Parameter(
    "stream", "Tell how it goes, as events. So does `Accept: text/event-stream`.", _YES
)
FORCE = Parameter("force", "Cut what runs.", _YES | {"default": False})


def _unload(method: str, name: str) -> Operation:
    return Operation(
        "delete" if method == "delete" else "post",
        "/v1/models/{model}/unload",
        name,
        "Unload a model, once what runs has ended",
        parameters=(FORCE,),
        answers=(json(answers.ModelStatus, about="Its status then."),),
        errors=LOAD,
    )


FAMILY = Family(
    "Management",
    "Load, unload, watch, pull and delete models.",
    (
        Operation(
            "post",
            "/v1/models/load",
            "loadModel",
            "Load a model, with settings that it keeps",
            body=(LoadRequest,),
            examples={"a model": {"model_name": MODEL, "context_length": 4096}},
            parameters=(WAIT, STREAM),
            answers=(
                Answer(
                    {JSON: (answers.ModelStatus,), SSE: (common.Progress, answers.ModelStatus)},
                    "Its status, once it is loaded; as events: how it goes, and the status.",
                    done=True,
                ),
                json(answers.ModelStatus, about="It is being loaded.", status=202),
            ),
            errors=(*BODY, *LOAD),
        ),
        _unload("delete", "unloadModel"),
        _unload("post", "unloadModelByPost"),
        Operation(
            "get",
            "/v1/models/{model}/status",
            "getModelStatus",
            "How a model fares: replicas, memory, failures",
            parameters=(
                Parameter(
                    "capabilities", "false: without its capabilities.", _YES | {"default": True}
                ),
            ),
            answers=(json(answers.ModelStatus),),
            errors=ORDER,
        ),
        Operation(
            "post",
            "/v1/models/{model}/retry",
            "retryModel",
            "Let a failed model be loaded again at once",
            answers=(json(answers.ModelStatus),),
            errors=ORDER,
        ),
        Operation(
            "delete",
            "/v1/models/{model}",
            "deleteModel",
            "Delete a model's files",
            about="Where `ALLOW_MODEL_DELETION` is true.",
            answers=(json(answers.DeletedModel),),
            errors=DELETION,
        ),
        Operation(
            "post",
            "/v1/models/pull",
            "pullModel",
            "Download a model from the hub",
            body=(PullRequest,),
            examples={"one quantisation": {"model": "org/name:Q4_K_M", "wait": False}},
            parameters=(WAIT, STREAM),
            answers=(
                Answer(
                    {JSON: (answers.Download,), SSE: (common.Progress, answers.Download)},
                    "Its state, once it is there; as events: how it goes, and the state.",
                    done=True,
                ),
                json(answers.Download, about="It is being fetched.", status=202),
            ),
            errors=(*BODY, *PULL),
        ),
        Operation(
            "get",
            "/v1/models/pull",
            "listPulls",
            "Downloads that run, wait, or have ended lately",
            answers=(json(answers.DownloadList),),
            errors=ORDER,
        ),
        Operation(
            "get",
            "/v1/models/pull/{model}",
            "getPull",
            "How a download fares",
            answers=(json(answers.Download),),
            errors=PULL,
        ),
        Operation(
            "delete",
            "/v1/models/pull/{model}",
            "cancelPull",
            "End a download; what has come stays",
            answers=(json(answers.CancelledDownload),),
            errors=PULL,
        ),
        Operation(
            "post",
            "/v1/admin/reload",
            "reloadSettings",
            "Read the settings and the model folders again",
            answers=(json(Reloaded),),
            errors=(*MANAGER, *QUERY),
        ),
        Operation(
            "post",
            "/v1/admin/gateway/restart",
            "restartGateway",
            "Replace the gateway's processes; models stay loaded and streams end as they would",
            answers=(json(RestartedGateway),),
            errors=(*MANAGER, *QUERY, Conflict),
        ),
    ),
)
