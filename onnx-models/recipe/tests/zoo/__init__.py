"""Networks that others would bring: Brevitas's own examples and ordinary ones, exported to QONNX, to see what packs and runs.

``python -m tests.zoo --help`` says how to run it; `cargo xtask test` packs Brevitas's examples.
"""
