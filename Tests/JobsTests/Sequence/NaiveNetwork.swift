import Checkpoints
import Foundation
import Kernels
import MatrixCore
import Safetensors

/// A small Llama or Mixtral in plain loops and Double: the oracle of what a compression in sequence sees.
struct NaiveNetwork {
    static let hidden = 12, inner = 20, heads = 3, layers = 3, vocabulary = 30, experts = 4, active = 2

    typealias Rows = [[Double]]

    let weights: [String: Rows]
    let isMixture: Bool

    /// What one sequence gives to the linear layers.
    struct Trace {
        /// By module, a row for each token that it reads.
        var inputs: [String: Rows] = [:]
        /// By module that writes to the residual stream, what its outputs are added to.
        var residuals: [String: Rows] = [:]
        /// By layer, the experts of each token in ascending order.
        var routes: [[[Int]]] = []
    }

    /// Reads the dense checkpoint in a folder.
    init(_ folder: String) throws {
        let checkpoint = try Checkpoint(path: folder)
        var weights: [String: Rows] = [:]
        for tensor in checkpoint.tensors {
            let operand = try checkpoint.operand(of: tensor.name)
            weights[tensor.name] = (0..<operand.rows).map { row in (0..<operand.columns).map { operand[row, $0] } }
        }
        self.weights = weights
        isMixture = checkpoint.tensors.contains { $0.name.contains("block_sparse_moe") }
    }

    // MARK: Running

    /// - Parameter routes: experts that the tokens are shown to in place of the network's own choice. What the network
    ///   goes on with is its own choice all the same.
    func run(_ tokens: [Int32], routes: [[[Int]]]? = nil) -> Trace {
        var trace = Trace()
        var x = tokens.map { weights["model.embed_tokens.weight"]![Int($0)] }
        for layer in 0..<Self.layers {
            let prefix = "model.layers.\(layer)."
            let read = x.map { norm($0, prefix + "input_layernorm") }
            let attended = attention(read, prefix + "self_attn.", &trace)
            trace.residuals[prefix + "self_attn.o_proj"] = x
            x = zip(x, attended).map { zip($0, $1).map(+) }
            let fed = x.map { norm($0, prefix + "post_attention_layernorm") }
            let out: Rows
            if isMixture {
                out = mixture(fed, prefix + "block_sparse_moe.", routes?[layer], &trace)
            } else {
                trace.residuals[prefix + "mlp.down_proj"] = x
                out = feedForward(fed, ["gate", "up", "down"].map { "\(prefix)mlp.\($0)_proj" }, &trace)
            }
            x = zip(x, out).map { zip($0, $1).map(+) }
        }
        return trace
    }

    private func apply(_ module: String, _ x: [Double]) -> [Double] {
        weights[module + ".weight"]!.map { row in zip(row, x).reduce(0) { $0 + $1.0 * $1.1 } }
    }

    private func norm(_ x: [Double], _ name: String) -> [Double] {
        let scale = 1 / (x.reduce(0) { $0 + $1 * $1 } / Double(x.count) + 1e-5).squareRoot()
        return zip(x, weights[name + ".weight"]!.flatMap { $0 }).map { $0 * scale * $1 }
    }

    private func attention(_ x: Rows, _ prefix: String, _ trace: inout Trace) -> Rows {
        for name in ["q_proj", "k_proj", "v_proj"] { trace.inputs[prefix + name] = x }
        let width = Self.hidden / Self.heads
        func turned(_ rows: Rows) -> Rows {
            rows.enumerated().map { position, row in
                row.indices.map { index in
                    let place = index % width, pair = place % (width / 2), start = index - place
                    let angle = Double(position) / pow(10000, Double(2 * pair) / Double(width))
                    let other = place < width / 2 ? -row[start + place + width / 2] : row[start + place - width / 2]
                    return row[index] * cos(angle) + other * sin(angle)
                }
            }
        }
        let q = turned(x.map { apply(prefix + "q_proj", $0) }), k = turned(x.map { apply(prefix + "k_proj", $0) })
        let v = x.map { apply(prefix + "v_proj", $0) }
        let mixed = x.indices.map { token in
            (0..<Self.heads).flatMap { head -> [Double] in
                let part = head * width..<(head + 1) * width
                let scores = (0...token).map { earlier in
                    exp(part.reduce(0) { $0 + q[token][$1] * k[earlier][$1] } / Double(width).squareRoot())
                }
                let sum = scores.reduce(0, +)
                return part.map { place in
                    (0...token).reduce(0) { $0 + scores[$1] / sum * v[$1][place] }
                }
            }
        }
        trace.inputs[prefix + "o_proj"] = mixed
        return mixed.map { apply(prefix + "o_proj", $0) }
    }

    /// - Parameter modules: gate, up, down.
    private func feedForward(_ x: Rows, _ modules: [String], _ trace: inout Trace) -> Rows {
        for module in modules.prefix(2) { trace.inputs[module, default: []] += x }
        let inner = x.map { row in
            zip(apply(modules[0], row), apply(modules[1], row)).map { $0 / (1 + exp(-$0)) * $1 }
        }
        trace.inputs[modules[2], default: []] += inner
        return inner.map { apply(modules[2], $0) }
    }

    private func mixture(_ x: Rows, _ prefix: String, _ shown: [[Int]]?, _ trace: inout Trace) -> Rows {
        func modules(_ expert: Int) -> [String] { ["w1", "w3", "w2"].map { "\(prefix)experts.\(expert).\($0)" } }
        var routes: [[Int]] = []
        let out = x.map { row -> [Double] in
            let scores = apply(prefix + "gate", row).map(exp)
            let chosen = Array(scores.indices.sorted { scores[$0] > scores[$1] }.prefix(Self.active)).sorted()
            routes.append(chosen)
            let sum = chosen.reduce(0) { $0 + scores[$1] }
            var unused = Trace()
            return chosen.reduce([Double](repeating: 0, count: row.count)) { total, expert in
                let output = feedForward([row], modules(expert), &unused)[0]
                return zip(total, output).map { $0 + $1 * scores[expert] / sum }
            }
        }
        trace.routes.append(routes)
        for expert in 0..<Self.experts {
            let rows = x.indices.filter { (shown ?? routes)[$0].contains(expert) }.map { x[$0] }
            _ = feedForward(rows, modules(expert), &trace)
        }
        return out
    }

    // MARK: Writing

    /// A checkpoint of random weights.
    static func write(to folder: String, isMixture: Bool) throws {
        let tensors = shapes(isMixture)
        let writer = try CheckpointWriter(
            folder: folder, config: config(isMixture),
            tensors: tensors.map { TensorDeclaration(name: $0.name, dtype: .f32, shape: $0.shape) },
            maximumShardBytes: 1_000_000)
        for (index, tensor) in tensors.enumerated() {
            let random = CounterRandom(seed: UInt64(index)), isNorm = tensor.shape.count == 1
            let numbers = (0..<tensor.shape.reduce(1, *)).map { Float(random.normal($0) * 0.4) + (isNorm ? 1 : 0) }
            try numbers.withUnsafeBytes { try writer.append($0, to: tensor.name) }
        }
        try writer.finish()
    }

    private static func config(_ isMixture: Bool) -> JSON {
        var config: JSON = [
            "model_type": isMixture ? "mixtral" : "llama", "hidden_size": JSON(hidden),
            "intermediate_size": JSON(inner), "num_hidden_layers": JSON(layers), "num_attention_heads": JSON(heads),
            "num_key_value_heads": JSON(heads), "vocab_size": JSON(vocabulary), "max_position_embeddings": 64,
            "rms_norm_eps": 1e-5, "rope_theta": 10000, "tie_word_embeddings": false,
        ]
        if isMixture {
            config["num_local_experts"] = JSON(experts)
            config["num_experts_per_tok"] = JSON(active)
            config["sliding_window"] = .null
        }
        return config
    }

    private static func shapes(_ isMixture: Bool) -> [(name: String, shape: [Int])] {
        var tensors: [(name: String, shape: [Int])] = [
            ("model.embed_tokens.weight", [vocabulary, hidden]), ("model.norm.weight", [hidden]),
            ("lm_head.weight", [vocabulary, hidden]),
        ]
        for layer in 0..<layers {
            let prefix = "model.layers.\(layer)."
            tensors += ["q", "k", "v", "o"].map { ("\(prefix)self_attn.\($0)_proj.weight", [hidden, hidden]) }
            tensors += ["input_layernorm", "post_attention_layernorm"].map { ("\(prefix)\($0).weight", [hidden]) }
            let networks = isMixture
                ? (0..<experts).map { ("\(prefix)block_sparse_moe.experts.\($0).", ["w1", "w3", "w2"]) }
                : [("\(prefix)mlp.", ["gate_proj", "up_proj", "down_proj"])]
            if isMixture { tensors.append((prefix + "block_sparse_moe.gate.weight", [experts, hidden])) }
            for (name, parts) in networks {
                tensors += [
                    ("\(name)\(parts[0]).weight", [inner, hidden]), ("\(name)\(parts[1]).weight", [inner, hidden]),
                    ("\(name)\(parts[2]).weight", [hidden, inner]),
                ]
            }
        }
        return tensors
    }
}
