"""Named instances of models"""

from __future__ import annotations

from tricorn.errors import Conflict
from tricorn.gateway.openapi.answers import common
from tricorn.gateway.openapi.answers import models as answers
from tricorn.gateway.openapi.failures import BODY, INSTANCE, LOAD, MANAGER
from tricorn.gateway.openapi.families.management import STREAM, WAIT
from tricorn.gateway.openapi.operation import JSON, MODEL, SSE, Answer, Family, Operation, json
from tricorn.schemas.management import InstanceRequest

FAMILY = Family(
    "Instances",
    "A model once more, with start-up parameters of its own. What uses models is found below "
    "`/proxy/{instance_id}` for it alone, e.g. `/proxy/mine/v1/chat/completions`.",
    (
        Operation(
            "post",
            "/instances",
            "createInstance",
            "Make an instance",
            body=(InstanceRequest,),
            examples={
                "with a longer context": {
                    "model_name": MODEL,
                    "name": "mine",
                    "params": {"context_length": 8192},
                    "ttl": "1h",
                }
            },
            parameters=(WAIT, STREAM),
            answers=(
                json(answers.Instance, about="It, once it is loaded.", status=201),
                Answer(
                    {SSE: (common.Progress, answers.Instance)}, "How it goes, as events.", done=True
                ),
                Answer({JSON: (answers.Instance,)}, "It is being loaded.", 202),
            ),
            errors=(*BODY, *LOAD, Conflict),
        ),
        Operation(
            "get",
            "/instances",
            "listInstances",
            "All instances",
            answers=(json(answers.InstanceList),),
            errors=MANAGER,
        ),
        Operation(
            "get",
            "/instances/{instance_id}",
            "getInstance",
            "One instance",
            answers=(json(answers.Instance),),
            errors=INSTANCE,
        ),
        Operation(
            "delete",
            "/instances/{instance_id}",
            "deleteInstance",
            "End an instance",
            answers=(json(answers.DeletedInstance),),
            errors=INSTANCE,
        ),
    ),
)
