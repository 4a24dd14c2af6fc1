import Checkpoints
import CompressionCore
import MatrixCore
import Safetensors

/// plan.json: what becomes of every matrix, for people to read and to edit.
///
///     {"plan_version": 1, "source": {"fingerprint": …}, "method": "svd", "storage": "pivot",
///      "modules": {"model.layers.0.mlp.up_proj": {"rank": 48},
///                  "model.layers.0.self_attn.q_proj": {"method": "tucker", "ranks": [16, 16]},
///                  "model.layers.0.mlp.down_proj": {"method": "tt", "keep": 0.3, "options": {"tt-order": "3"}}},
///      "kept_dense": {"model.layers.0.self_attn.k_proj": "…"}}
///
/// A module has one of `rank`, `ranks`, `keep`, `energy`, `max_error`, or only options that state a size. Method and
/// storage are those of the file where the module has none. What else a plan states (parameters, bytes, macs, schema,
/// totals, target) is there to be read and not obeyed. Modules under `kept_dense` count as selected and stay as they
/// are; those that are not named are not selected.
public struct PlanFile: Sendable {
    public static let version = 1

    /// What a module is to become.
    struct Entry: Sendable {
        let module: String
        let recipe: Recipe
        let size: Size
    }

    /// All that must be equal for modules to be compressed together, but their sizes.
    struct Recipe: Hashable, Sendable {
        var method: String
        var storage: MethodSettings.Storage
        var options: [String: String]
    }

    enum Size: Equatable, Sendable {
        case budget(Budget)
        /// One for every bond or mode, as the method counts them.
        case ranks([Int])
    }

    /// Fingerprint of the model it was made for; nil where a person wrote the plan.
    let fingerprint: String?
    let entries: [Entry]
    /// Modules that are selected and stay as they are, with the reason.
    let keptDense: [String: String]

    /// - Throws: `PlanningError.badPlan`.
    public init(parsing json: JSON) throws(PlanningError) {
        guard let object = json.object else { throw .badPlan(module: nil, "it is no object") }
        guard json["plan_version"]?.int == Self.version else {
            let found = json["plan_version"]?.text(pretty: false) ?? "missing"
            throw .badPlan(module: nil, "plan_version is \(found); expected \(Self.version)")
        }
        for key in object.keys where !Self.keys.contains(key) {
            throw .badPlan(module: nil, "\"\(key)\" means nothing")
        }
        guard let modules = json["modules"]?.object,
            !modules.isEmpty || json["kept_dense"]?.object?.isEmpty == false
        else {
            throw .badPlan(module: nil, "\"modules\" names no module")
        }
        fingerprint = json["source"]?["fingerprint"]?.string
        let base = Recipe(
            method: try Self.word(json["method"], "method", nil) ?? "svd",
            storage: try Self.storage(json["storage"], nil) ?? .factors, options: [:])
        var entries: [Entry] = []
        for (name, entry) in modules.entries { entries.append(try Self.entry(name, entry, base)) }
        self.entries = entries
        var keptDense: [String: String] = [:]
        for (name, reason) in json["kept_dense"]?.object?.entries ?? [] {
            guard modules[name] == nil else { throw .badPlan(module: name, "it is compressed and kept dense") }
            keptDense[name] = reason.string ?? "kept dense by the plan"
        }
        self.keptDense = keptDense
    }

    private static let keys: Set<String> = [
        "plan_version", "source", "method", "storage", "target", "totals", "modules", "kept_dense",
    ]

    // MARK: Reading

    private static func entry(_ module: String, _ json: JSON, _ base: Recipe) throws(PlanningError) -> Entry {
        guard let object = json.object else { throw .badPlan(module: module, "its entry is no object") }
        var recipe = base
        recipe.method = try word(json["method"], "method", module) ?? base.method
        recipe.storage = try storage(json["storage"], module) ?? base.storage
        for (name, value) in json["options"]?.object?.entries ?? [] {
            guard let text = value.string ?? value.int.map(String.init) ?? value.double.map({ "\($0)" }) else {
                throw .badPlan(module: module, "option \"\(name)\" is neither text nor a number")
            }
            recipe.options[name] = text
        }
        var sizes: [Size] = []
        for key in object.keys {
            switch key {
            case "method", "storage", "options", "schema", "parameters", "bytes", "macs": break
            case "rank": sizes.append(.budget(.rank(try positive(json, key, module))))
            case "ranks": sizes.append(.ranks(try ranks(json, key, module)))
            case "keep": sizes.append(.budget(.keep(try share(json, key, module))))
            case "energy": sizes.append(.budget(.energy(try share(json, key, module))))
            case "max_error": sizes.append(.budget(.error(try share(json, key, module))))
            default: throw .badPlan(module: module, "\"\(key)\" means nothing")
            }
        }
        guard sizes.count <= 1 else { throw .badPlan(module: module, "it has \(sizes.count) sizes; give one") }
        guard let size = sizes.first ?? (recipe.options.isEmpty ? nil : .budget(.options)) else {
            throw .badPlan(module: module, "it has no size; give rank, ranks, keep, energy or max_error")
        }
        return Entry(module: module, recipe: recipe, size: size)
    }

    private static func word(_ value: JSON?, _ key: String, _ module: String?) throws(PlanningError) -> String? {
        guard let value else { return nil }
        guard let word = value.string else { throw .badPlan(module: module, "\"\(key)\" is no word") }
        return word
    }

    private static func storage(
        _ value: JSON?, _ module: String?
    ) throws(PlanningError) -> MethodSettings.Storage? {
        guard let word = try word(value, "storage", module) else { return nil }
        guard let storage = MethodSettings.Storage(rawValue: word) else {
            throw .badPlan(module: module, "storage \"\(word)\" is neither factors nor pivot")
        }
        return storage
    }

    private static func positive(_ json: JSON, _ key: String, _ module: String) throws(PlanningError) -> Int {
        guard let value = json[key]?.int, value > 0 else {
            throw .badPlan(module: module, "\"\(key)\" is no positive whole number")
        }
        return value
    }

    private static func ranks(_ json: JSON, _ key: String, _ module: String) throws(PlanningError) -> [Int] {
        let values = json[key]?.array?.compactMap(\.int) ?? []
        guard !values.isEmpty, values.count == json[key]?.array?.count, values.allSatisfy({ $0 > 0 }) else {
            throw .badPlan(module: module, "\"\(key)\" is no list of positive whole numbers")
        }
        return values
    }

    private static func share(_ json: JSON, _ key: String, _ module: String) throws(PlanningError) -> Double {
        guard let value = json[key]?.double, value > 0, value <= 1 else {
            throw .badPlan(module: module, "\"\(key)\" is no number above 0 and at most 1")
        }
        return value
    }
}

extension PlanFile {
    /// The plan for a checkpoint.
    ///
    /// - Parameter method: makes the compressor of a method from storage and options.
    /// - Throws: `PlanningError`, `CheckpointError`, and `CompressionError` of a method.
    public func plan(
        for checkpoint: Checkpoint, factorType: ElementType?,
        method: (String, MethodSettings.Storage, [String: String]) throws -> PlannedMethod
    ) throws -> CompressionPlan {
        if let fingerprint, fingerprint != (try checkpoint.fingerprint()) {
            throw PlanningError.badPlan(module: nil, "it was made for another model: the fingerprints differ")
        }
        let compressible = checkpoint.compressibleModules, known = Set(compressible.map(\.name))
        for name in entries.map(\.module) + keptDense.keys.sorted() where !known.contains(name) {
            throw PlanningError.badPlan(module: name, "the model has no such linear layer")
        }
        let entries = Dictionary(uniqueKeysWithValues: entries.map { ($0.module, $0) })
        let modules = compressible.filter { entries[$0.name] != nil }
        var groups: [PlannedGroup] = []
        var recipes: [Recipe] = []
        for module in modules {
            if let recipe = entries[module.name]?.recipe, !recipes.contains(recipe) { recipes.append(recipe) }
        }
        for recipe in recipes {
            let members = modules.filter { entries[$0.name]?.recipe == recipe }
            let compressor = try method(recipe.method, recipe.storage, recipe.options).compressor
            for group in try ModuleGroups(members, of: checkpoint, for: compressor).groups {
                groups.append(try planned(group, recipe, entries, checkpoint, factorType, method))
            }
        }
        for module in compressible {
            guard let reason = keptDense[module.name] else { continue }
            let recipe = recipes.first ?? Recipe(method: "svd", storage: .factors, options: [:])
            groups.append(
                PlannedGroup(
                    dense: module, of: checkpoint, by: try method(recipe.method, recipe.storage, recipe.options),
                    because: reason))
        }
        let order = Dictionary(uniqueKeysWithValues: compressible.enumerated().map { ($1.name, $0) })
        return CompressionPlan(
            groups: groups.sorted { order[$0.name, default: 0] < order[$1.name, default: 0] }, target: .plan)
    }

    private func planned(
        _ group: [LinearModule], _ recipe: Recipe, _ entries: [String: Entry], _ checkpoint: Checkpoint,
        _ factorType: ElementType?,
        _ method: (String, MethodSettings.Storage, [String: String]) throws -> PlannedMethod
    ) throws -> PlannedGroup {
        let size = entries[group[0].name]?.size
        for module in group where entries[module.name]?.size != size {
            throw PlanningError.badPlan(
                module: module.name, "it is compressed together with \(group[0].name) and must have the same size")
        }
        switch size {
        case .budget(let budget)?:
            return try PlannedGroup(
                group, of: checkpoint, by: try method(recipe.method, recipe.storage, recipe.options), budget: budget,
                factorType: factorType)
        case .ranks(let ranks)?:
            let type = Swift.type(of: try method(recipe.method, recipe.storage, recipe.options).compressor)
            guard let stated = type.sizeOptions(ranks: ranks) else {
                throw PlanningError.badPlan(module: group[0].name, "\(recipe.method) has no list of ranks")
            }
            let options = recipe.options.merging(stated) { $1 }
            return try PlannedGroup(
                group, of: checkpoint, by: try method(recipe.method, recipe.storage, options), budget: .options,
                factorType: factorType)
        case nil:
            preconditionFailure("a module without an entry")
        }
    }
}
