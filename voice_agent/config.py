"""The one settings tree: YAML in, checked and frozen values out, secrets from the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from telephony.settings import GatewaySettings, Section
from voice_agent.console.settings import ConsoleSettings
from voice_agent.knowledge.sources.settings import SourceList
from voice_agent.yaml_file import read_sound_part, read_yaml


class ConfigError(Exception):
    """A configuration that cannot be used; the message is one line that says what to do."""

    code = "config_invalid"
    retryable = False


def _http_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"`{value}` is not an http address")
    return value


HttpUrl = Annotated[str, AfterValidator(_http_url)]


class MediaSettings(Section):
    """Where the agent waits for media streams, and its health and metrics (same port)."""

    host: str = Field("127.0.0.1", description="Address to listen on; loopback unless you say so")
    port: int = Field(8090, ge=1, le=65535, description="Port for media streams, health, metrics")
    token_env: str = Field(
        "VOICE_AGENT_MEDIA_TOKEN",
        description="Environment variable with the shared token; required beyond loopback",
    )
    max_calls: int = Field(8, ge=1, description="Streams answered at once; more are refused")


class ModelsSettings(Section):
    """Where model files live."""

    folder: Path = Field(Path("var/models"), description="Folder the models are unpacked into")


class TranscriberSettings(Section):
    """Speech to text: faster-whisper."""

    model: str = Field("whisper-base", description="Manifest name or a CTranslate2 model folder")
    language: str = Field("en", description="Language callers speak; others are noticed")
    device: Literal["cpu", "cuda"] = Field("cpu", description="Where Whisper runs")
    compute_type: str = Field("int8", description="CTranslate2 arithmetic, e.g. int8, float16")
    threads: int = Field(
        1, ge=1, description="CPU threads a decode may use; 2 are slower on two cores"
    )
    workers: int = Field(2, ge=1, description="Decodes at the same time")
    prompt: str = Field("", description="Words Whisper should expect: product names and the like")


class SynthesiserSettings(Section):
    """Text to speech: Piper, in its own process."""

    host: str = Field("127.0.0.1", description="Address of the synthesiser")
    port: int = Field(8092, ge=1, le=65535, description="Port of the synthesiser")
    voice: str = Field("piper-joe", description="Manifest name or a Piper .onnx file")
    rate: float = Field(1.0, gt=0.3, lt=3.0, description="Speaking rate; 1.2 is a fifth faster")
    timeout_s: float = Field(5.0, gt=0, description="Patience with one clause")
    kept: Path = Field(Path("var/phrases"), description="Folder of phrases kept as sound")


class SpeechSettings(Section):
    """Ears and mouth."""

    transcriber: TranscriberSettings = TranscriberSettings()
    synthesiser: SynthesiserSettings = SynthesiserSettings()


class TurnSettings(Section):
    """When the caller is speaking, has finished, or interrupts. All times are audio time."""

    voice_threshold: float = Field(0.5, gt=0, lt=1, description="Silero probability that is voice")
    onset_ms: int = Field(60, ge=20, description="Voice this long begins an utterance")
    interrupt_ms: int = Field(20, ge=20, description="Voice this long interrupts the agent")
    speculate_ms: int = Field(100, ge=40, description="Silence after which the answer is prepared")
    end_silence_ms: int = Field(240, ge=100, description="Silence that ends a complete sentence")
    max_silence_ms: int = Field(1800, ge=300, description="Silence that ends any utterance")
    complete_threshold: float = Field(0.89, gt=0, lt=1, description="smart-turn: sentence complete")
    second_opinion: str = Field(
        "smart-turn-v3.0", description="Another smart-turn: manifest name or file; empty: none"
    )
    filler_after_ms: int = Field(600, ge=100, description="Fill when a reply is so late after it")
    prompt_after_s: float = Field(8.0, gt=0, description="Ask a silent caller after so long")
    prompts: int = Field(2, ge=0, description="Ask so often, then say goodbye")
    max_utterance_s: float = Field(60.0, gt=1, description="Answer even if the caller goes on")


class KnowledgeGateSettings(Section):
    """What a new index version may lose against the one that answers."""

    recall_fall: float = Field(0.0, ge=0, le=1, description="Share of the stored questions")
    vanished_share: float = Field(0.1, ge=0, le=1, description="Share of the documents")
    completeness_fall: float = Field(
        0.05, ge=0, le=1, description="Share of what the sources offer that can be used"
    )


class KnowledgeSettings(Section):
    """The company's documents and how passages are found."""

    documents: Path = Field(Path("configs/knowledge"), description="Folder of documents")
    sources: SourceList = Field((), description="Further sources: folder, git, http, feed, tickets")
    questions: Path | None = Field(
        Path("configs/knowledge_questions.yaml"),
        description="Questions that a new version must answer as well as the old one",
    )
    gate: KnowledgeGateSettings = KnowledgeGateSettings()
    build_threads: int = Field(2, ge=1, description="CPU threads a build embeds passages with")
    pin_calls: bool = Field(
        False, description="A call goes on with the version it began with; false: the newest"
    )
    keep_versions: int = Field(10, ge=2, description="Index versions kept; older ones are deleted")
    watch_s: float = Field(
        0.0, ge=0, description="`serve` looks for changed documents so often; 0: never"
    )
    index: Path = Field(Path("var/knowledge"), description="Folder of the built index")
    server_url: HttpUrl | None = Field(None, description="Qdrant server; absent: embedded")
    embedder: str = Field("minilm", description="Manifest name of the embedding model")
    passages: int = Field(3, ge=1, le=20, description="Passages given to the language model")
    minimum_score: float = Field(0.25, ge=0, le=1, description="Weaker passages are left out")
    deadline_ms: int = Field(400, ge=5, description="Answer without passages that come later")


class LanguageModelSettings(Section):
    """Any server that speaks the OpenAI chat protocol: llama.cpp or vLLM."""

    url: HttpUrl = Field("http://127.0.0.1:8091/v1", description="Base URL of the OpenAI protocol")
    model: str = Field("qwen2.5-0.5b", description="Model name sent to the server")
    api_key_env: str = Field("VOICE_AGENT_LLM_KEY", description="Variable with the key, if any")
    engine: Literal["llama.cpp", "vllm"] = Field("llama.cpp", description="Which dialect to expect")
    serve: bool = Field(True, description="`serve` starts llama.cpp itself; false: it runs already")
    server: Literal["auto", "wheel", "native"] = Field(
        "auto", description="llama.cpp as packaged, or as built here (`models build-native`)"
    )
    model_file: str = Field("qwen2.5-0.5b", description="Manifest name or GGUF file to serve")
    slots: int = Field(2, ge=1, description="Answers written at the same time (llama.cpp)")
    context_tokens: int = Field(4096, ge=512, description="Context of one answer (llama.cpp)")
    threads: int = Field(1, ge=1, description="Threads that write tokens (llama.cpp)")
    batch_threads: int = Field(2, ge=1, description="Threads that read the prompt (llama.cpp)")
    max_tokens: int = Field(120, ge=16, description="Longest answer in tokens")
    temperature: float = Field(0.0, ge=0, le=2, description="0 gives the same answer every time")
    first_token_timeout_s: float = Field(2.5, gt=0, description="Patience until the first token")
    token_timeout_s: float = Field(3.0, gt=0, description="Patience between tokens")


class GroundingSettings(Section):
    """How sentences of the model's are checked beyond rules and likeness of meaning."""

    model: bool = Field(
        False, description="Let the language model judge each sentence as well; needs a GPU"
    )
    patience_ms: int = Field(
        300, ge=10, description="What it may take for one; after that, the rules' word stands"
    )


class RoadSettings(Section):
    """Which road a request takes, and how sure the router must be; probabilities, 0 to 1."""

    enabled: bool = Field(True, description="Compare requests with examples; false: rules alone")
    examples: Path = Field(Path("configs/roads.yaml"), description="Examples of each road")
    calibration: Path = Field(
        Path("configs/road_calibration.yaml"),
        description="How sure examples make; made by `voice-agent answering calibrate`",
    )
    unaided: float = Field(
        0.85, ge=0, le=1, description="Below it nothing is answered without asking or a person"
    )
    verified: float = Field(
        0.85, ge=0, le=1, description="Below it documents answer instead of an approved text"
    )
    person: float = Field(
        0.5, ge=0, le=1, description="From here on a person takes over who was not asked for"
    )
    out_of_scope: float = Field(
        0.3, ge=0, le=1, description="From here on the caller hears that this is not done here"
    )
    spoken_of: float = Field(
        0.5, ge=0, le=1, description="Cosine to a passage from which on nothing is out of scope"
    )
    deadline_ms: int = Field(60, ge=1, description="Rules alone decide what takes longer")


class AnsweringSettings(Section):
    """How answers are made."""

    company: str = Field("Fernhill Home", description="The name callers hear")
    greeting: str = Field(
        "Hello, this is Fernhill Home's assistant. How can I help you?",
        description="First words of every call",
    )
    prompt: Path = Field(Path("configs/prompts/answer.txt"), description="System prompt")
    roads: RoadSettings = RoadSettings()
    model: LanguageModelSettings = LanguageModelSettings()
    larger_model: LanguageModelSettings | None = Field(
        None, description="A second one for hard requests; its server must run already"
    )
    quote_after_ms: int = Field(
        0,
        ge=0,
        description="After the turn's end the model has so long before a passage is quoted instead",
    )
    grounding: GroundingSettings = GroundingSettings()
    history_turns: int = Field(6, ge=1, description="Turns kept word for word; older: summarised")


class ActionsSettings(Section):
    """What is done for callers on the company's systems."""

    enabled: bool = Field(False, description="Do actions; false: documents answer such requests")
    declarations: Path = Field(
        Path("configs/actions.yaml"), description="What can be done, and under which conditions"
    )
    journal: Path = Field(Path("var/actions.sqlite"), description="SQLite file of begun writes")
    grace_ms: int = Field(700, ge=0, description="A confirmed write waits so long for `no, wait`")
    webhook_url: HttpUrl | None = Field(
        None, description="Where the outcome of every call is sent; absent: nowhere"
    )
    webhook_secret_env: str = Field(
        "VOICE_AGENT_WEBHOOK_SECRET", description="Variable with the key that signs outcomes"
    )
    outbox: Path = Field(Path("var/outbox.sqlite"), description="SQLite file of unsent outcomes")
    transcript_url: str = Field(
        "", description="Link to a call's transcript, with {call_id}; empty: the agent's own"
    )


class HandoffSettings(Section):
    """Putting the caller through to a person."""

    enabled: bool = Field(True, description="Callers may ask for a person")
    target: str = Field("", description="SIP address; empty: the gateway's human line")
    reasons: Path = Field(
        Path("configs/handoff.yaml"), description="Why, in which words, and through which queue"
    )
    link: str = Field(
        "http://127.0.0.1:8060/#/handoff/{call_id}",
        description="The story's page, named to the person's telephone; empty: none",
    )
    messages: bool = Field(True, description="Callers whom nobody can help may leave a message")
    voicemail: Path = Field(Path("var/voicemail"), description="Folder of these messages")


class SafetySettings(Section):
    """What may be said and kept."""

    policy: Path = Field(Path("configs/policy.yaml"), description="What is never said, and masked")
    names_model: str = Field(
        "spacy-en-small",
        description="Named-entity model that finds names in records; empty: rules alone",
    )


class RecordsSettings(Section):
    """Calls and turns as evidence."""

    path: Path = Field(Path("var/records.sqlite"), description="SQLite file")
    keep_days: float | None = Field(
        None, gt=0, description="Calls, turns and recordings older than that are deleted"
    )
    keep_recordings_days: float | None = Field(
        None, gt=0, description="Recordings older than that are deleted, where that is sooner"
    )


class DrillSettings(Section):
    """Drills of what must work on a bad day."""

    kill_switch_at: str = Field(
        "",
        pattern=r"^$|^([01]\d|2[0-3]):[0-5]\d$",
        description="`serve` drills the kill switch every day at this time, HH:MM; empty: never",
    )
    record: Path = Field(Path("var/drills.jsonl"), description="What every drill took")


class LoggingSettings(Section):
    """Logs on standard error, one JSON object or one readable line an event."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level")
    format: Literal["json", "console"] = Field("json", description="For machines or for people")
    pii: bool = Field(False, description="Keep transcripts and digits in logs; for development")


class TelemetrySettings(Section):
    """OpenTelemetry spans."""

    otlp_endpoint: str | None = Field(None, description="OTLP/HTTP endpoint; absent: no spans")


class Settings(Section):
    """The whole tree."""

    gateway: GatewaySettings = GatewaySettings()
    media: MediaSettings = MediaSettings()
    models: ModelsSettings = ModelsSettings()
    speech: SpeechSettings = SpeechSettings()
    turns: TurnSettings = TurnSettings()
    knowledge: KnowledgeSettings = KnowledgeSettings()
    answering: AnsweringSettings = AnsweringSettings()
    actions: ActionsSettings = ActionsSettings()
    handoff: HandoffSettings = HandoffSettings()
    safety: SafetySettings = SafetySettings()
    records: RecordsSettings = RecordsSettings()
    console: ConsoleSettings = ConsoleSettings()
    drills: DrillSettings = DrillSettings()
    logging: LoggingSettings = LoggingSettings()
    telemetry: TelemetrySettings = TelemetrySettings()


def load(path: Path) -> Settings:
    """Read and check a settings file.

    Raises:
        ConfigError: with one line that says which key is wrong and why.
    """
    return read_yaml(path, Settings, ConfigError)


def load_sound_part(path: Path) -> tuple[Settings | None, list[str]]:
    """Settings without what is wrong in the file (``None``: all of it), and a line for each fault.

    Raises:
        ConfigError: the file cannot be read, or is no YAML.
    """
    return read_sound_part(path, Settings, ConfigError)


def secret(variable: str) -> str:
    """A secret from the environment; empty when it is not set."""
    return os.environ.get(variable, "")


def secrets_of(settings: Section) -> tuple[str, ...]:
    """The value of every environment variable that a settings tree names, where it is set."""
    found: list[str] = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, Section):
            found += secrets_of(value)
        elif name.endswith("_env") and isinstance(value, str) and secret(value):
            found.append(secret(value))
    return tuple(found)
