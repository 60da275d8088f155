"""How a prediction is shown: as the reply to its creation, to a wait for it, and to a look at it."""

from datetime import UTC, datetime
from typing import Any

from core_replicate.sandbox.prediction import Prediction


def fresh(prediction: Prediction) -> dict[str, Any]:
    """Return the reply to a creation: without output and metrics, and always `starting`."""
    return {
        "id": prediction.id,
        "model": prediction.model.id,
        "version": prediction.version,
        "input": dict(prediction.input),
        "logs": "",
        "data_removed": False,
        "error": None,
        "source": "api",
        "status": "starting",
        "created_at": _iso(prediction.created),
        **({"deadline": _iso(prediction.deadline)} if prediction.deadline is not None else {}),
        **({"deployment": prediction.deployment} if prediction.deployment else {}),
        "urls": _urls(prediction),
    }


def full(prediction: Prediction) -> dict[str, Any]:
    """Return the prediction as it is now."""
    return {
        **fresh(prediction),
        "status": prediction.status,
        "logs": prediction.logs,
        "error": prediction.error,
        "output": _output(prediction),
        "started_at": _iso(prediction.started),
        "completed_at": _iso(prediction.completed),
        "metrics": _metrics(prediction),
    }


def waited(prediction: Prediction) -> dict[str, Any]:
    """Return the reply to a creation with `Prefer: wait`.

    As upstream, a success is still called `processing` though its output is there, and what took longer is `starting`.
    """
    if not prediction.finished:
        return fresh(prediction)
    shown = full(prediction)
    return {**shown, "status": "processing"} if prediction.status == "succeeded" else shown


def _urls(prediction: Prediction) -> dict[str, str]:
    model, origin = prediction.model, prediction.origin
    own = f"{origin}/v1/predictions/{prediction.id}"
    urls = {"get": own, "cancel": f"{own}/cancel", "web": f"{origin}/p/{prediction.id}"}
    if model.behaviour.streams:
        kind = "files" if model.style == "pictures" else "streams"
        host = origin.replace("127.0.0.1", "localhost") if model.behaviour.foreign else origin
        urls["stream"] = f"{host}/v1/{kind}/{prediction.stream_path}"
    return urls


def _output(prediction: Prediction) -> Any:
    done = prediction.status == "succeeded"
    text = "".join(prediction.output)
    match prediction.model.style:
        case "string":
            return text if done else None
        case "object":
            return {"text": text, "json_output": None} if done else None
        case _:
            return list(prediction.output) if prediction.output or done else None


def _metrics(prediction: Prediction) -> dict[str, Any]:
    if prediction.completed is None:
        return {}
    metrics: dict[str, Any] = {"total_time": prediction.completed - prediction.created}
    if prediction.started is not None:
        metrics["predict_time"] = prediction.completed - prediction.started
    model = prediction.model
    if prediction.status == "succeeded" and model.style != "pictures" and not model.counts_in_logs:
        metrics["input_token_count"], metrics["output_token_count"] = prediction.count_tokens()
    return metrics


def _iso(moment: float | None) -> str | None:
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
