import Safetensors

/// What a tensor is in its model.
struct Classification {
    let role: ModuleRole
    let layer: Int?
    let expert: Int?
    var isTransposed = false
    /// Index in the modules of the architecture; nil where the tensor was judged by its name and shape alone.
    var module: Int?
    /// What stands before the architecture's own names.
    var prefix = ""
}

/// Gives each tensor its role: by the architecture's list of modules, else by common names and by its shape.
struct ModuleClassifier {
    private let matcher: ModuleMatcher?
    private let modules: [Architecture.Module]

    init(_ architecture: Architecture?) {
        matcher = architecture.map { ModuleMatcher($0) }
        modules = architecture?.modules ?? []
    }

    /// - Parameters:
    ///   - module: the tensor's name without `.weight`, `.bias` and the like.
    ///   - parameter: what was taken off the name; empty where the tensor has no such ending.
    func classify(module: String, parameter: String, shape: [Int]) -> Classification {
        guard let match = matcher?.match(module) else {
            return classifyByName(module: module, parameter: parameter, shape: shape)
        }
        let known = modules[match.module]
        let isWeight = known.role == .norm || parameter == "weight" || (parameter.isEmpty && shape.count == 3)
        return Classification(
            role: isWeight ? known.role : parameter == "bias" ? .bias : .other, layer: match.layer,
            expert: match.expert,
            isTransposed: known.isTransposed, module: isWeight ? match.module : nil, prefix: match.prefix)
    }

    /// A matrix named `….weight` is a linear layer, in a block if its name has a number; what else it is, common names
    /// tell.
    private func classifyByName(module: String, parameter: String, shape: [Int]) -> Classification {
        let components = module.lowercased().split(separator: ".")
        let layer = components.lazy.compactMap(NumberedName.number).first
        let expert = components.firstIndex(where: { $0 == "experts" || $0 == "expert" })
            .flatMap { components.dropFirst($0 + 1).first }.flatMap(NumberedName.number)
        let last = components.last.map(String.init) ?? ""
        let role = role(of: last, in: components, parameter: parameter, shape: shape, isInBlock: layer != nil)
        return Classification(role: role, layer: layer, expert: expert)
    }

    private func role(
        of last: String, in components: [Substring], parameter: String, shape: [Int], isInBlock: Bool
    ) -> ModuleRole {
        if last.contains("norm") || last.hasPrefix("ln_") || last == "ln" { return .norm }
        if parameter == "bias", shape.count == 1 { return .bias }
        let isExpert = components.contains("experts") || components.contains("expert")
        let known = Self.rolesByName[last]
        if parameter.isEmpty, shape.count == 3, isExpert {
            return last.contains("gate") ? .expertFused : last.contains("down") ? .expertDown : .other
        }
        guard parameter == "weight", shape.count == 2 else { return .other }
        if components.contains(where: { $0.contains("embed") || $0 == "wte" || $0 == "wpe" || $0 == "shared" }) {
            if last == "embed_out" { return .head }
            return last.contains("position") || last == "wpe" ? .positionEmbedding : .embedding
        }
        if !isInBlock { return Self.headNames.contains(last) ? .head : .linear }
        // Only these two use the numbers for the same layers everywhere.
        let isNumbered = ["w1", "w2", "w3"].contains(last)
        guard let known, !isNumbered || isExpert || components.contains("feed_forward") else { return .linear }
        return isExpert ? Self.expertRoles[known] ?? known : known
    }

    private static let headNames: Set<String> = ["lm_head", "embed_out", "output", "head", "decoder"]

    private static let expertRoles: [ModuleRole: ModuleRole] = [
        .mlpGate: .expertGate, .mlpUp: .expertUp, .mlpDown: .expertDown, .mlpFused: .expertFused,
    ]

    private static let rolesByName: [String: ModuleRole] = [
        "q_proj": .attentionQuery, "query": .attentionQuery, "wq": .attentionQuery, "q": .attentionQuery,
        "k_proj": .attentionKey, "key": .attentionKey, "wk": .attentionKey, "k": .attentionKey,
        "v_proj": .attentionValue, "value": .attentionValue, "wv": .attentionValue, "v": .attentionValue,
        "o_proj": .attentionOutput, "out_proj": .attentionOutput, "wo": .attentionOutput, "o": .attentionOutput,
        "qkv_proj": .attentionFused, "query_key_value": .attentionFused, "wqkv": .attentionFused,
        "c_attn": .attentionFused,
        "gate_proj": .mlpGate, "w1": .mlpGate, "up_proj": .mlpUp, "w3": .mlpUp, "down_proj": .mlpDown, "w2": .mlpDown,
        "gate_up_proj": .mlpFused, "fc1": .mlpIn, "fc_in": .mlpIn, "c_fc": .mlpIn, "dense_h_to_4h": .mlpIn,
        "fc2": .mlpOut, "fc_out": .mlpOut, "dense_4h_to_h": .mlpOut,
        "gate": .router, "router": .router, "shared_expert_gate": .router,
    ]
}
