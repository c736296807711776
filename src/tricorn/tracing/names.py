"""The names that spans, attributes and events have: all of them, for they are still being renamed.

Most are of OpenTelemetry's conventions, those for generative AI and the stable ones; what is of
vLLM's spans, and what is our own, stands apart.
"""

from __future__ import annotations

from typing import Final

# --- spans: their names end with the model's ---------------------------------------------------
ACQUIRE: Final = "acquire"
LOAD: Final = "load"
ENGINE: Final = "engine"

# --- gen_ai ------------------------------------------------------------------------------------
OPERATION: Final = "gen_ai.operation.name"
CHAT: Final = "chat"
TEXT_COMPLETION: Final = "text_completion"
EMBEDDINGS: Final = "embeddings"
RERANK: Final = "rerank"
SCORE: Final = "score"
"""The last two are no operations of the conventions, which allow others."""
PROVIDER: Final = "gen_ai.provider.name"
TRICORN: Final = "tricorn"
INPUT_MESSAGES: Final = "gen_ai.input.messages"

REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_TOP_K: Final = "gen_ai.request.top_k"
REQUEST_SEED: Final = "gen_ai.request.seed"
REQUEST_FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
REQUEST_CHOICES: Final = "gen_ai.request.choice.count"

RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_FIRST: Final = "gen_ai.response.time_to_first_chunk"
"""Seconds from the request's arrival to the first token."""
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHED_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"

# --- of vLLM's spans: seconds ------------------------------------------------------------------
LATENCY_QUEUE: Final = "gen_ai.latency.time_in_queue"
LATENCY_PREFILL: Final = "gen_ai.latency.time_in_model_prefill"
LATENCY_DECODE: Final = "gen_ai.latency.time_in_model_decode"

# --- HTTP and what all spans may have ----------------------------------------------------------
HTTP_METHOD: Final = "http.request.method"
HTTP_ROUTE: Final = "http.route"
HTTP_STATUS: Final = "http.response.status_code"
URL_PATH: Final = "url.path"
URL_SCHEME: Final = "url.scheme"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
CLIENT_ADDRESS: Final = "client.address"
USER_AGENT: Final = "user_agent.original"
ERROR_TYPE: Final = "error.type"

SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
PROCESS_PID: Final = "process.pid"

# --- our own -----------------------------------------------------------------------------------
PART: Final = "tricorn.part"
"""Of a resource: gateway or manager."""
REQUEST_ID: Final = "tricorn.request_id"
KEY_ID: Final = "tricorn.key.id"
REPLICA: Final = "tricorn.replica"
ENGINE_NAME: Final = "tricorn.engine"
RETRIED: Final = "tricorn.retried"
QUEUE_S: Final = "tricorn.wait.queue_s"
LOAD_S: Final = "tricorn.wait.load_s"
LOAD_KIND: Final = "tricorn.load.kind"
"""load, or wake where it was parked."""

# --- events ------------------------------------------------------------------------------------
LOAD_BEGAN: Final = "load began"
LOAD_ENDED: Final = "load ended"
EVICTED: Final = "evicted"
"""Another model makes room."""
PROMPT_TAKEN: Final = "prompt taken"
"""Rendered, tokenised and found to fit."""
PREFILL_BEGAN: Final = "prefill began"
"""It has its place in the batch."""
FIRST_TOKEN: Final = "first token"
LAST_TOKEN: Final = "last token"
