"""Ask through NeMo Data Designer. Usage: ``designer.py URL REQUESTS IN_FLIGHT``; prints seconds and answers."""

import sys
import time
from tempfile import TemporaryDirectory

import data_designer.config as dd
from data_designer.interface import DataDesigner


def main(url: str, count: int, in_flight: int) -> None:
    """Time the whole call, artifacts included."""
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        provider = dd.ModelProvider(name="loopback", endpoint=url, api_key="none")
        model = dd.ModelConfig(
            alias="loopback",
            model="loopback",
            provider="loopback",
            skip_health_check=True,
            inference_parameters=dd.ChatCompletionInferenceParams(max_parallel_requests=in_flight, max_tokens=50),
        )
        designer = DataDesigner(artifact_path=folder, model_providers=[provider])
        builder = dd.DataDesignerConfigBuilder(model_configs=[model])
        builder.add_column(
            dd.SamplerColumnConfig(name="id", sampler_type=dd.SamplerType.UUID, params=dd.UUIDSamplerParams())
        )
        builder.add_column(dd.LLMTextColumnConfig(name="answer", model_alias="loopback", prompt="say {{ id }}"))
        answered = designer.create(builder, num_records=count).load_dataset()
        seconds = time.perf_counter() - started
    print(seconds, answered["answer"].notna().sum())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
