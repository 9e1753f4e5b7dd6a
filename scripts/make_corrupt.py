#!/usr/bin/env python3
"""Writes fixtures/corrupt/rules: one small file or folder for every validation rule that no other fixture breaks."""
import argparse
import json
import os
import random
import shutil
import struct
import sys
import tempfile
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent / "fixtures/corrupt/rules"
U8, U32, I32, F32, BOOL, STRING, ARRAY = 0, 4, 5, 6, 7, 8, 9
PACK = {U8: "<B", U32: "<I", I32: "<i", F32: "<f", BOOL: "<B"}
# ggml types by number, and bytes per value of the plain ones.
T_F32, T_F16, T_Q4_0, T_Q8_0, T_I32, T_MXFP4 = 0, 1, 2, 8, 26, 39
ST_SIZES = {"F32": 4, "F16": 2, "BF16": 2, "U8": 1, "U32": 4, "I64": 8, "F8_E4M3": 1}


def text(value):
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(raw)) + raw


def value_bytes(kind, value):
    if kind == STRING:
        return text(value)
    if kind == ARRAY:
        element, values = value
        return struct.pack("<IQ", element, len(values)) + b"".join(value_bytes(element, each) for each in values)
    return struct.pack(PACK[kind], value)


class Gguf:
    """A GGUF file in the making. Tensors: name, dimensions fastest first, type, bytes."""

    def __init__(self, keys=(), tensors=(), alignment=32):
        self.keys, self.tensors, self.alignment = list(keys), list(tensors), alignment

    def set(self, key, kind, value):
        self.keys = [each for each in self.keys if each[0] != key] + [(key, kind, value)]
        return self

    def drop(self, key):
        self.keys = [each for each in self.keys if each[0] != key]
        return self

    def put(self, name, dims, kind, data):
        self.tensors = [each for each in self.tensors if each[0] != name] + [(name, dims, kind, data)]
        return self

    def bytes(self, swap_data=False):
        out = b"GGUF" + struct.pack("<IQQ", 3, len(self.tensors), len(self.keys))
        for key, kind, value in self.keys:
            out += text(key) + struct.pack("<I", kind) + value_bytes(kind, value)
        order = list(reversed(self.tensors)) if swap_data else self.tensors
        places, data = {}, b""
        for name, _, _, raw in order:
            places[name] = len(data)
            data += raw + bytes(-len(raw) % self.alignment)
        for name, dims, kind, _ in self.tensors:
            out += text(name) + struct.pack("<I", len(dims)) + struct.pack("<%dQ" % len(dims), *dims)
            out += struct.pack("<IQ", kind, places[name])
        return out + bytes(-len(out) % self.alignment) + data


def f16(count, seed, scale=0.05):
    source = random.Random(seed)
    return struct.pack("<%de" % count, *(source.uniform(-scale, scale) for _ in range(count)))


def f32(values):
    return struct.pack("<%df" % len(values), *values)


def model(vocabulary=8, width=32, seed=1):
    """A whole llama of one layer, without a tokenizer."""
    out = Gguf([("general.architecture", STRING, "llama"), ("general.name", STRING, "fixture")])
    for key, value in (("block_count", 1), ("context_length", 32), ("embedding_length", width), ("feed_forward_length", 32),
                       ("attention.head_count", 4), ("attention.head_count_kv", 2), ("rope.dimension_count", width // 4)):
        out.set("llama." + key, U32, value)
    out.set("llama.attention.layer_norm_rms_epsilon", F32, 1e-5)
    shapes = [("token_embd", (width, vocabulary)), ("output", (width, vocabulary)), ("blk.0.attn_q", (width, width)),
              ("blk.0.attn_k", (width, width // 2)), ("blk.0.attn_v", (width, width // 2)), ("blk.0.attn_output", (width, width)),
              ("blk.0.ffn_gate", (width, 32)), ("blk.0.ffn_up", (width, 32)), ("blk.0.ffn_down", (32, width))]
    for number, (name, dims) in enumerate(shapes):
        out.put(name + ".weight", dims, T_F16, f16(dims[0] * dims[1], seed * 100 + number, 0.5))
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        out.put(name + ".weight", (width,), T_F32, f32([1.0 + i / 64 for i in range(width)]))
    return out


def container(*tensors):
    return Gguf([("general.name", STRING, "tensors")], tensors)


def byte_alphabet():
    """GPT-2's characters for the 256 bytes."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    out, extra = {}, 256
    for byte in range(256):
        out[byte] = chr(byte) if byte in plain else chr(extra)
        extra += byte not in plain
    return [out[byte] for byte in range(256)]


def spm(tokens=None, types=None):
    tokens = tokens or ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % byte for byte in range(256)] + ["\u2581", "a", "b", "ab"]
    types = types or [2, 3, 3] + [6 if str(token).startswith("<0x") else 1 for token in tokens[3:]]
    out = Gguf([("general.architecture", STRING, "llama")])
    for key, value in (("block_count", 1), ("context_length", 32), ("embedding_length", 32), ("feed_forward_length", 32), ("attention.head_count", 4)):
        out.set("llama." + key, U32, value)
    out.set("llama.attention.layer_norm_rms_epsilon", F32, 1e-5)
    out.set("tokenizer.ggml.model", STRING, "llama").set("tokenizer.ggml.tokens", ARRAY, (STRING, tokens))
    out.set("tokenizer.ggml.scores", ARRAY, (F32, [-float(i) for i in range(len(tokens))])).set("tokenizer.ggml.token_type", ARRAY, (I32, types))
    for key, value in (("bos", 1), ("eos", 2), ("unknown", 0)):
        out.set("tokenizer.ggml.%s_token_id" % key, U32, value)
    return out


def bpe(merges=("a b",), tokens=None):
    tokens = tokens or byte_alphabet() + ["ab", "<|end|>"]
    out = spm(tokens, [1] * (len(tokens) - 1) + [3])
    out.set("tokenizer.ggml.model", STRING, "gpt2").set("tokenizer.ggml.pre", STRING, "gpt-2").drop("tokenizer.ggml.scores")
    out.set("tokenizer.ggml.merges", ARRAY, (STRING, list(merges)))
    for key in ("bos", "eos"):
        out.set("tokenizer.ggml.%s_token_id" % key, U32, len(tokens) - 1)
    return out.drop("tokenizer.ggml.unknown_token_id")


def safetensors(tensors, header=None, pad=None):
    """Tensors: name, dtype, shape, bytes. `header` replaces the JSON text made from them."""
    entries, data = {}, b""
    for name, dtype, shape, raw in tensors:
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    raw = (header or json.dumps(entries, separators=(",", ":"))).encode()
    raw += b" " * (-len(raw) % 8 if pad is None else pad)
    return struct.pack("<Q", len(raw)) + raw + data


def weights(seed=1):
    """A whole llama of one layer in Hugging Face's names."""
    layer = "model.layers.0."
    shapes = [("model.embed_tokens", (8, 32)), ("lm_head", (8, 32)), (layer + "self_attn.q_proj", (32, 32)), (layer + "self_attn.k_proj", (16, 32)),
              (layer + "self_attn.v_proj", (16, 32)), (layer + "self_attn.o_proj", (32, 32)), (layer + "mlp.gate_proj", (32, 32)),
              (layer + "mlp.up_proj", (32, 32)), (layer + "mlp.down_proj", (32, 32)), ("model.norm", (32,)), (layer + "input_layernorm", (32,)),
              (layer + "post_attention_layernorm", (32,))]
    out = []
    for number, (name, shape) in enumerate(shapes):
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        out.append((name + ".weight", "F16", shape, f16(count, seed * 100 + number, 0.5)))
    return out


CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1,
          "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 8, "max_position_embeddings": 32, "rms_norm_eps": 1e-5,
          "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": False}


def folder(**files):
    """A whole small model folder; names with __ for dots, None removes a file."""
    out = {"config.json": json.dumps(CONFIG, indent=1), "model.safetensors": safetensors(weights())}
    for name, content in files.items():
        out[name.replace("__", ".")] = content
    return {name: content for name, content in out.items() if content is not None}


def config(**changes):
    changed = {**CONFIG, **changes}
    return json.dumps({key: value for key, value in changed.items() if value != "absent"}, indent=1)


def mlx(quantization={"group_size": 64, "bits": 4}, drop=(), **replace):
    tensors = {"m.weight": ("U32", (4, 8), bytes(range(128))), "m.scales": ("BF16", (4, 1), bytes(8)), "m.biases": ("BF16", (4, 1), bytes(8))}
    tensors.update({"m." + name: value for name, value in replace.items()})
    kept = [(name, *value) for name, value in tensors.items() if name not in drop]
    said = config(quantization=quantization) if quantization else config()
    return {"config.json": said, "model.safetensors": safetensors(kept)}


def nf4(state=None, kind="nf4", drop=(), **replace):
    table = [-1.0, -0.7, -0.5, -0.4, -0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 1.0]
    said = json.dumps(state or {"quant_type": kind, "blocksize": 64, "shape": [8, 8], "dtype": "float32"}).encode()
    tensors = {"w.weight": ("U8", (32, 1), bytes(range(32))), "w.weight.absmax": ("F32", (1,), f32([0.5])),
               "w.weight.quant_map": ("F32", (16,), f32(table)), "w.weight.quant_state.bitsandbytes__" + kind: ("U8", (len(said),), said)}
    tensors.update(replace)
    return safetensors([(name, *value) for name, value in tensors.items() if name not in drop])


def shards(index=None, count=2, of=None, **files):
    """A model in two shards with an index."""
    tensors = weights()
    of = of or count
    name = "model-%05d-of-%05d.safetensors"
    parts = [tensors[:6], tensors[6:]]
    names = [name % (number + 1, of) for number in range(2)]
    mapped = {each[0]: names[number] for number in range(2) for each in parts[number]}
    total = sum(len(each[3]) for each in tensors)
    out = {"config.json": json.dumps(CONFIG), names[0]: safetensors(parts[0]), names[1]: safetensors(parts[1])}
    out["model.safetensors.index.json"] = index(mapped, total) if index else json.dumps({"metadata": {"total_size": total}, "weight_map": mapped}, indent=1)
    for file, content in files.items():
        out[file.replace("__", ".")] = content
    return {file: content for file, content in out.items() if content is not None}


def split(count_keys=(2, 2), total=None, names="part-%05d-of-00002.gguf", numbers=(0, 1), same=False, parts=(0, 1)):
    tensors = model().tensors
    halves = [tensors[:6], tensors[6:]]
    if same:
        halves[1] = halves[1] + tensors[:1]
    out = {}
    for part in parts:
        made = Gguf(model().keys if part == 0 else [], halves[part])
        made.set("split.no", U32, numbers[part]).set("split.count", U32, count_keys[part])
        made.set("split.tensors.count", I32, len(tensors) if total is None else total)
        out[names % (part + 1)] = made.bytes()
    return out


def q8(scales, seed=3):
    source = random.Random(seed)
    return b"".join(struct.pack("<e", scale) + bytes(source.randrange(256) for _ in range(32)) for scale in scales)


def tokenizer_json(**changes):
    vocab = {character: number for number, character in enumerate(byte_alphabet())}
    vocab["ab"] = 256
    out = {"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
           "post_processor": None, "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "vocab": vocab, "merges": ["a b"]}}
    out.update(changes)
    return json.dumps(out)


def with_tokenizer(content):
    return folder(tokenizer__json=content, config__json=config(vocab_size=257), model__safetensors=safetensors(weights()[2:]))


def matrix(rows, name="m.weight"):
    return (name, (32, len(rows)), T_F32, f32([value for row in rows for value in row]))


def random_rows(count, seed=7):
    source = random.Random(seed)
    return [[source.uniform(-1, 1) for _ in range(32)] for _ in range(count)]


def fixtures():
    """Name below the folder -> bytes, text, or the files of a folder."""
    out = {}
    # What lies under a model's name.
    out["file.html.gguf"] = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n"
    out["file.json.json"] = '{"error": "Repository not found"}\n'
    out["file.kind-pickle.safetensors"] = b"\x80\x02}q\x00X\x06\x00\x00\x00weightq\x01."
    out["file.kind-zip.gguf"] = b"PK\x03\x04\x14\x00\x00\x00\x00\x00archive/data.pkl"
    out["file.kind-executorch.gguf"] = b"\x1c\x00\x00\x00ET12" + bytes(24)
    out["file.lfs-pointer.safetensors"] = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 1234567\n"
    out["file.text.model"] = "Entry not found"
    out["file.zeros.gguf"] = bytes(64)
    out["file.open"] = {"part-00001-of-00002.gguf": split()["part-00001-of-00002.gguf"], "part-00002-of-00002.gguf/README.txt": "A folder where a part should be.\n"}
    out["folder.ambiguous"] = {"one.gguf": model(seed=1).bytes()[:64], "two.gguf": model(seed=2).bytes()[:64]}
    out["folder.broken-link"] = folder(**{"generation_config__json": Link("../../blobs/" + "0" * 64)})
    out["folder.json"] = folder(tokenizer_config__json="{\n")
    out["folder.no-weights"] = {"README.md": "# A model\n"}
    out["folder.other-weights"] = {"config.json": config(), "pytorch_model.bin": b"PK\x03\x04"}
    out["folder.partial-download"] = folder(**{"model__safetensors__incomplete": "half"})
    out["folder.pickle"] = folder(pytorch_model__bin=b"PK\x03\x04")
    out["folder.stray-shard"] = folder(**{"model-extra__safetensors": safetensors([("x", "F32", (1,), f32([1]))])})
    # Hyper-parameters.
    out["config.not-json"] = folder(config__json="{ not json")
    out["config.key.duplicate"] = folder(config__json=config()[:-2] + ',\n "hidden_size": 64\n}'.replace("64", "32"))
    out["config.key.missing"] = folder(config__json=config(num_hidden_layers="absent"))
    out["config.key.type"] = folder(config__json=config(hidden_size="32"))
    out["config.missing.safetensors"] = safetensors(weights())
    out["config.remote-code"] = folder(config__json=config(auto_map={"AutoModelForCausalLM": "modeling.py"}))
    out["config.tied-head"] = folder(config__json=config(tie_word_embeddings=True))
    out["model.quantization"] = folder(config__json=config(quantization_config={"quant_method": "gptq", "bits": 4, "group_size": 32}), model__safetensors=safetensors(
        [("model.layers.0.self_attn.q_proj." + name, dtype, shape, bytes(count)) for name, dtype, shape, count in
         (("qweight", "U32", (4, 32), 512), ("qzeros", "U32", (1, 4), 16), ("g_idx", "U32", (32,), 128), ("scales", "F16", (1, 32), 64))]))
    out["model.architecture.not-run.gguf"] = Gguf([(key.replace("llama.", "bloom."), kind, value) for key, kind, value in model().keys], model().tensors).set(
        "general.architecture", STRING, "bloom").bytes()
    out["model.not-run.gguf"] = model().set("llama.expert_count", U32, 8).set("llama.expert_used_count", U32, 2).set("llama.expert_gating_func", U32, 4).bytes()
    out["model.tensor.type.gguf"] = model().put("blk.0.attn_k.weight", (32, 16), T_I32, bytes(2048)).bytes()
    # GGUF.
    out["gguf.alignment.small.gguf"] = Gguf(model().keys + [("general.alignment", U32, 4)], model().tensors, 4).bytes()
    out["gguf.window-ignored.gguf"] = model().set("llama.attention.sliding_window", U32, 16).bytes()
    out["gguf.file-type.gguf"] = model().set("general.file_type", U32, 15).bytes()
    out["gguf.key.array-length.gguf"] = model().set("llama.feed_forward_length", ARRAY, (U32, [32, 32, 32])).bytes()
    out["gguf.key.grammar.gguf"] = model().set("General Name", STRING, "x").bytes()
    out["gguf.key.too-long.gguf"] = container().set("k" * 65536, U8, 1).bytes()
    out["gguf.key.type.gguf"] = model().set("llama.block_count", STRING, "1").bytes()
    out["gguf.quantization-version.gguf"] = container(("m.weight", (32, 2), T_Q8_0, q8([0.01, 0.02]))).bytes()
    out["gguf.split.alone-00001-of-00002.gguf"] = model().bytes()
    out["gguf.split.count"] = split(count_keys=(3, 3))
    out["gguf.split.duplicate"] = split(same=True, total=13)
    out["gguf.split.key.gguf"] = model().set("split.count", STRING, "2").bytes()
    out["gguf.split.missing"] = split(parts=(0,))
    out["gguf.split.name.gguf"] = split()["part-00001-of-00002.gguf"]
    out["gguf.split.tensors"] = split(total=99)
    out["gguf.tensor.name-64.gguf"] = container(("n" * 64, (4,), T_F32, f32([1, 2, 3, 4]))).bytes()
    out["gguf.tensor.name-utf8.gguf"] = container((b"name\xff", (4,), T_F32, f32([1, 2, 3, 4]))).bytes()
    out["gguf.tensor.order.gguf"] = model().bytes(swap_data=True)
    out["gguf.tensor.scalar.gguf"] = container(("scalar", (), T_F32, f32([1]))).bytes()
    # safetensors, shard indexes, scales in tensors of their own.
    one = '"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    out["safetensors.field-duplicate.safetensors"] = safetensors([("a", "F32", (1,), f32([1]))], '{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}')
    out["safetensors.header.bloat.safetensors"] = safetensors([("a", "F32", (1,), f32([1]))], "{" + one + "}" + " " * 70000)
    out["safetensors.misaligned.safetensors"] = safetensors([("a", "F32", (1,), f32([1]))], "{" + one + "}", pad=1 if len(one) % 4 == 2 else 3)
    out["index.duplicate-entry"] = shards(lambda mapped, total: json.dumps({"weight_map": mapped})[:-2] + ', "model.norm.weight": "model-00002-of-00002.safetensors"}}')
    out["index.missing"] = {name: content for name, content in shards().items() if not name.endswith("index.json")}
    out["index.shard-unlisted"] = shards(of=3)
    out["mlx.biases-missing"] = mlx(drop=("m.biases",))
    out["mlx.biases-shape"] = mlx(biases=("BF16", (2, 1), bytes(4)))
    out["mlx.config"] = mlx({"group_size": 48, "bits": 4})
    out["mlx.config-missing"] = mlx(None)
    out["mlx.mode"] = mlx({"group_size": 32, "bits": 4, "mode": "nvfp4"})
    out["mlx.override"] = mlx({"group_size": 64, "bits": 4, "m": False})
    out["mlx.scales-missing"] = mlx(drop=("m.scales", "m.biases"))
    out["mlx.shape"] = mlx({"group_size": 32, "bits": 4})
    out["mlx.weight-missing"] = mlx(drop=("m.weight",))
    out["mlx.weight-type"] = mlx(weight=("F32", (4, 8), bytes(128)))
    f8 = ("w", "F8_E4M3", (2, 4), bytes(range(8)))
    out["fp8.scale-shape.safetensors"] = safetensors([f8, ("w_scale", "F32", (3,), f32([1, 1, 1]))])
    out["fp8.scale-twice.safetensors"] = safetensors([f8, ("w_scale", "F32", (1,), f32([1])), ("w_scale_inv", "F32", (1,), f32([1]))])
    out["fp8.scale-type.safetensors"] = safetensors([f8, ("w_scale", "I64", (1,), bytes(8))])
    out["bitsandbytes.missing.safetensors"] = nf4(drop=("w.weight.absmax",))
    out["bitsandbytes.shape.safetensors"] = nf4({"blocksize": 64, "shape": [8, 16]})
    out["bitsandbytes.state.safetensors"] = nf4({"blocksize": 3, "shape": [8, 8]})
    out["bitsandbytes.table.safetensors"] = nf4(**{"w.weight.quant_map": ("F32", (16,), f32([0.0] * 16))})
    out["bitsandbytes.type.safetensors"] = nf4(kind="nf5")
    out["bitsandbytes.weight.safetensors"] = nf4(**{"w.weight": ("U32", (8, 1), bytes(32))})
    # Numbers.
    plain = random_rows(16)
    out["numbers.block.saturated.gguf"] = container(("m.weight", (32, 4), T_Q4_0, b"".join(struct.pack("<e", 0.01) + b"\xf0\x0f" * 8 for _ in range(4)))).bytes()
    out["numbers.e8m0.gguf"] = container(("m.weight", (32, 4), T_MXFP4, b"".join(bytes([exponent]) + bytes(range(16)) for exponent in (120, 121, 255, 120)))).bytes()
    out["numbers.row.constant.gguf"] = container(matrix(plain[:4] + [[0.5] * 32] + plain[5:])).bytes()
    out["numbers.row.zero.gguf"] = container(matrix(plain[:4] + [[0.0] * 32] + plain[5:])).bytes()
    out["numbers.scale.absurd.gguf"] = container(("m.weight", (32, 64), T_Q8_0, q8([0.01] * 40 + [640.0] + [0.01] * 23))).bytes()
    out["numbers.scale.denormal.gguf"] = container(("m.weight", (32, 16), T_Q8_0, q8([3e-7] * 16))).bytes()
    out["numbers.tensor.duplicate.gguf"] = container(matrix(plain, "a.weight"), matrix(plain, "b.weight")).bytes()
    out["numbers.tensor.zero.gguf"] = container(matrix([[0.0] * 32] * 4)).bytes()
    out["numbers.value.huge.gguf"] = container(matrix(plain[:4] + [[1e6] + plain[4][1:]] + plain[5:])).bytes()
    # Running.
    zero = bytes(2 * 32 * 32)
    out["run.uniform.gguf"] = model().put("output.weight", (32, 8), T_F16, zero[:512]).bytes()
    out["run.repeats.gguf"] = model().put("token_embd.weight", (32, 8), T_F16, f16(32, 5) * 8).put("blk.0.attn_output.weight", (32, 32), T_F16, zero).bytes()
    # Hashes.
    whole = folder()
    out["hash.mismatch"] = {**whole, "SHA256SUMS": "0" * 64 + "  model.safetensors\n"}
    out["hash.unknown.safetensors"] = whole["model.safetensors"]
    # Tokenizers.
    out["tokenizer.array-missing.gguf"] = spm().drop("tokenizer.ggml.scores").bytes()
    tokens = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % byte for byte in range(256)]
    out["tokenizer.byte-token.malformed.gguf"] = spm(tokens + ["<0x-1>", "<0xZZ>"], [2, 3, 3] + [6] * 258).bytes()
    out["tokenizer.byte-token.missing.gguf"] = spm(["<unk>", "<s>", "</s>", "\u2581", "a"]).bytes()
    out["tokenizer.chat-template.broken.gguf"] = spm().set("tokenizer.chat_template", STRING, "{% for message in messages %}{{ message").bytes()
    out["tokenizer.eos.gguf"] = spm().drop("tokenizer.ggml.eos_token_id").bytes()
    out["tokenizer.not-json"] = with_tokenizer('{"model": ')
    out["tokenizer.load"] = with_tokenizer(tokenizer_json(model={"type": "Unigram", "unk_id": 9, "vocab": [["<unk>", 0.0], ["a", -1.0]]}))
    out["tokenizer.merge.absent.gguf"] = bpe(["a b", "x yz"]).bytes()
    out["tokenizer.merge.malformed.gguf"] = bpe(["a b", "ab"]).bytes()
    out["tokenizer.not-run"] = with_tokenizer(tokenizer_json(model={"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"[UNK]": 0, "a": 1}}))
    out["tokenizer.pre.gguf"] = bpe().set("tokenizer.ggml.pre", STRING, "nonsense").bytes()
    out["tokenizer.pre-missing.gguf"] = bpe().drop("tokenizer.ggml.pre").bytes()
    out["tokenizer.token.duplicate.gguf"] = bpe(tokens=byte_alphabet() + ["ab", "ab", "<|end|>"]).bytes()
    out["tokenizer.token.not-utf8.gguf"] = spm(tokens + [b"\xff\xfe"], [2, 3, 3] + [6] * 256 + [1]).bytes()
    out["tokenizer.token.too-long.gguf"] = spm(tokens + ["a" * 65536]).bytes()
    out["tokenizer.vocabulary.id"] = with_tokenizer(tokenizer_json(model={"type": "BPE", "vocab": {"a": 0, "b": 0, "c": "2"}, "merges": []}))
    out["tokenizer.vocabulary.missing.gguf"] = spm().drop("tokenizer.ggml.tokens").bytes()
    padded = model(vocabulary=10)
    out["tokenizer.vocabulary.padded.gguf"] = Gguf(padded.keys + [key for key in spm(tokens[:3] + ["a", "b", "c", "d", "e"]).keys if key[0].startswith("tokenizer")],
                                                   padded.tensors).bytes()
    return out


class Link(str):
    """The target of a symbolic link, as the content of a file."""


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Link):
        path.symlink_to(str(content))
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def write_all(home):
    for name, content in fixtures().items():
        if isinstance(content, dict):
            for file, each in content.items():
                write(home / name / file, each)
        else:
            write(home / name, content)


def listing(home):
    out = {}
    for path in sorted(home.rglob("*")):
        if path.is_symlink():
            out[str(path.relative_to(home))] = os.readlink(path)
        elif path.is_file():
            out[str(path.relative_to(home))] = path.read_bytes()
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the folder is not what would be written")
    parser.add_argument("--home", type=Path, default=HOME)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "rules"
        write_all(made)
        if arguments.check:
            wanted, found = listing(made), listing(arguments.home)
            wrong = [name for name in sorted({*wanted, *found}) if wanted.get(name) != found.get(name)]
            for name in wrong:
                print(f"make_corrupt: {name} is not as written by this script")
            print(f"make_corrupt: {len(wrong)} of {len(wanted)} files differ")
            return 1 if wrong else 0
        shutil.rmtree(arguments.home, ignore_errors=True)
        shutil.copytree(made, arguments.home, symlinks=True)
        print(f"make_corrupt: {len(listing(arguments.home))} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
