"""Makes the tests' pair, its golden frame and the golden events: python make.py, with numpy, onnx, onnxruntime.

The frames are put together here byte by byte, without Fogline's own encoder, so that the tests
hold the protocol to what it was when they were made.
"""

import base64
import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
EVENTS = HERE.parent / "events"
SHAPE, SCALE, CLASSES = (8, 4, 4), 0.5, ["cat", "dog", "ship"]
REQUEST_ID = bytes(range(16))


def cloud_onnx() -> bytes:
    """Flatten and one dense layer; every weight is a multiple of 1/64, so that sums are exact."""
    rng = np.random.default_rng(7)
    weight = (rng.integers(-32, 33, (3, 128)) / 64).astype(np.float32)
    bias = np.array([0.25, -0.5, 0.125], np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["map"], ["flat"], axis=1),
            helper.make_node("Gemm", ["flat", "weight", "bias"], ["scores"], transB=1),
        ],
        "cloud",
        [helper.make_tensor_value_info("map", TensorProto.FLOAT, ["n", *SHAPE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def external(model: bytes) -> bytes:
    """The same model with its weights in a second file, as large exports have them, and without that file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "external.onnx"
        onnx.save_model(onnx.load_from_string(model), path, save_as_external_data=True, location="external.data", size_threshold=0)
        return path.read_bytes()


def frame(pair: bytes, maps: list[np.ndarray]) -> bytes:
    """A request frame: magic, version, and bincode's varints, all below 251 here."""
    body = pair + REQUEST_ID + bytes([len(maps)])
    for signs in maps:
        packed = np.packbits(signs.ravel() > 0, bitorder="little").tobytes()
        body += bytes([*signs.shape, 1, len(packed)]) + packed
    return b"FOGQ\x01" + body


def event(method: str, path: str, body: bytes | None = None, accept: str = "*/*") -> dict:
    """What a function URL sends (payload 2.0)."""
    headers = {
        "accept": accept,
        "host": "abc.lambda-url.eu-central-1.on.aws",
        "user-agent": "fogline-edge",
        "x-amzn-trace-id": "Root=1-6553f0a1-25b420912dee103a5db43400",
        "x-forwarded-for": "203.0.113.7",
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
    }
    made = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abc",
            "domainName": "abc.lambda-url.eu-central-1.on.aws",
            "domainPrefix": "abc",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "fogline-edge",
            },
            "requestId": "0b2f3c4d-0000-4000-8000-000000000001",
            "routeKey": "$default",
            "stage": "$default",
            "time": "23/Nov/2026:12:00:00 +0000",
            "timeEpoch": 1795435200000,
        },
        "isBase64Encoded": body is not None,
    }
    if body is not None:
        headers["content-type"] = "application/vnd.fogline.frame"
        headers["content-length"] = str(len(body))
        made["body"] = base64.b64encode(body).decode()
    return made


def write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def main() -> None:
    model = cloud_onnx()
    (HERE / "cloud.onnx").write_bytes(model)
    (HERE / "external.onnx").write_bytes(external(model))
    digest = hashlib.sha256(model).hexdigest()
    pair = hashlib.sha256(f"cloud.onnx {digest}\n".encode()).digest()
    manifest = {
        "format": 1,
        "name": "tiny",
        "version": "1.0.0",
        "classes": CLASSES,
        "input": {"size": 8, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
        "exits": [{"name": "exit-1", "after_block": 1, "thresholds": {"entropy": 0.5}}],
        "policy": "entropy",
        "split": {"shape": list(SHAPE), "bits": 1, "scale": SCALE},
        "files": {"cloud.onnx": {"sha256": digest, "bytes": len(model)}},
    }
    write(HERE / "manifest.json", manifest)

    rng = np.random.default_rng(11)
    maps = [rng.choice(np.array([-1, 1], np.int8), SHAPE) for _ in range(2)]
    session = onnxruntime.InferenceSession(model)
    levels = np.stack(maps).astype(np.float32) * SCALE
    (scores,) = session.run(None, {"map": levels})
    shifted = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    write(
        HERE / "expected.json",
        {
            "pair": pair.hex(),
            "request_id": REQUEST_ID.hex(),
            "logits": scores.tolist(),
            "probabilities": (shifted / shifted.sum(axis=1, keepdims=True)).tolist(),
        },
    )

    EVENTS.mkdir(exist_ok=True)
    good = frame(pair, maps)
    (HERE / "infer.frame").write_bytes(good)
    wrong_shape = frame(pair, [maps[0].reshape(8, 2, 8)])
    for name, made in {
        "infer": event("POST", "/infer", good),
        "infer_json": event("POST", "/infer", good, accept="application/json"),
        "health": event("GET", "/health"),
        "ready": event("GET", "/ready"),
        "truncated_frame": event("POST", "/infer", good[:-7]),
        "unknown_pair": event("POST", "/infer", frame(bytes(32), maps)),
        "wrong_shape": event("POST", "/infer", wrong_shape),
        "get_infer": event("GET", "/infer"),
        "unknown_path": event("GET", "/admin"),
    }.items():
        write(EVENTS / f"{name}.json", made)


if __name__ == "__main__":
    main()
