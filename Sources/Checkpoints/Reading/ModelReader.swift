import Safetensors

/// Makes a model out of tensors and a configuration: which family it is, what each tensor is for, which layers are
/// linear, and what does not fit together.
struct ModelReader {
    let architecture: Architecture?
    let compressedModules: [CompressedModule]
    private(set) var warnings: [CheckpointWarning] = []

    /// Whether the family is the configuration's word, and not concluded from the tensors.
    private let isConfigured: Bool
    private let places: [(tensor: TensorInfo, file: Int)]
    private let classifier: ModuleClassifier
    /// Schemas of the compressed modules.
    private let schemas: [UTF8Key: CompressedModule]

    /// - Throws: `.formatVersion` or `.moduleEntry` where the configuration of a compressed folder cannot be read.
    init(
        config: JSON, configPath: String, places: [(tensor: TensorInfo, file: Int)]
    ) throws(CheckpointError) {
        self.places = places
        isConfigured = Checkpoint.modelType(of: config) != nil
        let architecture = Self.architecture(of: config, names: places.map(\.tensor.name))
        self.architecture = architecture
        classifier = ModuleClassifier(architecture)
        compressedModules = try Self.compressedModules(in: config, configPath: configPath, classifier: classifier)
        schemas = Dictionary(uniqueKeysWithValues: compressedModules.map { (UTF8Key($0.name), $0) })
        if architecture == nil, let modelType = Checkpoint.modelType(of: config) {
            warnings.append(.unknownArchitecture(modelType: modelType))
        }
    }

    // MARK: Family

    /// By the configuration; without one, the first family that knows all the names of block modules.
    private static func architecture(of config: JSON, names: [String]) -> Architecture? {
        if let modelType = Checkpoint.modelType(of: config) {
            return Architecture.families.first { $0.modelTypes.contains(modelType) }
        }
        let inBlocks = names.map { TensorName($0) }.filter {
            $0.parameter == "weight" && !NumberedName(Substring($0.module)).numbers.isEmpty
        }
        if inBlocks.isEmpty { return nil }
        return Architecture.families.first { family in
            let matcher = ModuleMatcher(family)
            return inBlocks.allSatisfy { matcher.match($0.module) != nil }
        }
    }

    // MARK: Compressed modules

    private static func compressedModules(
        in config: JSON, configPath: String, classifier: ModuleClassifier
    ) throws(CheckpointError) -> [CompressedModule] {
        guard let version = config["low_rank_format_version"] else { return [] }
        guard version.int == 1 else { throw .formatVersion(file: configPath, found: version.text(pretty: false)) }
        var modules: [CompressedModule] = []
        for (name, entry) in config["low_rank_modules"]?.object?.entries ?? [] {
            guard let schema = entry["schema"]?.string else { throw .moduleEntry(file: configPath, module: name) }
            let place = classifier.classify(module: name, parameter: "weight", shape: [1, 1])
            modules.append(
                CompressedModule(
                    name: name, schema: schema, entry: entry, role: place.role, layer: place.layer,
                    expert: place.expert,
                    isTransposed: place.isTransposed))
        }
        return modules
    }

    // MARK: Tensors

    /// Every tensor with its role, in natural order of names.
    func tensors() -> [CheckpointTensor] {
        places.map { (order: NaturalOrder($0.tensor.name), tensor: checkpointTensor($0.tensor, file: $0.file)) }
            .sorted { $0.order < $1.order }.map(\.tensor)
    }

    private func checkpointTensor(_ tensor: TensorInfo, file: Int) -> CheckpointTensor {
        let name = TensorName(tensor.name)
        let compressed = compressedModule(of: tensor.name)
        let place: Classification
        if let compressed {
            let isBias = tensor.name.hasSuffix(".bias")
            place = Classification(
                role: isBias ? .bias : compressed.role, layer: compressed.layer, expert: compressed.expert)
        } else if tensor.name.hasPrefix("lowrank.") {
            place = Classification(role: .shared, layer: nil, expert: nil)
        } else {
            place = classifier.classify(module: name.module, parameter: name.parameter, shape: tensor.shape)
        }
        return CheckpointTensor(
            name: tensor.name, dtype: tensor.dtype, shape: tensor.shape, byteCount: tensor.byteCount,
            module: compressed?.name ?? name.module, role: place.role, layer: place.layer, expert: place.expert,
            isTransposed: place.isTransposed && place.role.isLinear, file: file, architectureModule: place.module)
    }

    /// The compressed module whose name the tensor's begins with.
    private func compressedModule(of tensor: String) -> CompressedModule? {
        guard !schemas.isEmpty else { return nil }
        var end = tensor.endIndex
        while let dot = tensor[..<end].lastIndex(of: ".") {
            if let module = schemas[UTF8Key(String(tensor[..<dot]))] { return module }
            end = dot
        }
        return nil
    }

    // MARK: Linear layers

    /// Dense linear layers by layer, order in the family, expert and name.
    mutating func linearModules(of tensors: [CheckpointTensor]) -> [LinearModule] {
        let names = Set(tensors.map { UTF8Key($0.name) })
        var modules: [(order: [Int], module: LinearModule)] = []
        for (position, tensor) in tensors.enumerated() {
            let isStack = tensor.shape.count == 3
            guard tensor.role.isLinear, isStack || tensor.shape.count == 2, schemas[UTF8Key(tensor.module)] == nil
            else {
                continue
            }
            guard tensor.dtype.elementType != nil else {
                warnings.append(.unreadableWeight(tensor: tensor.name, dtype: tensor.dtype))
                continue
            }
            let bias = tensor.module + ".bias"
            for slice in isStack ? (0..<tensor.shape[0]).map(Optional.some) : [nil] {
                let module = Self.linearModule(
                    of: tensor, slice: slice, biasName: !isStack && names.contains(UTF8Key(bias)) ? bias : nil)
                if schemas[UTF8Key(module.name)] != nil { continue }
                let order = [
                    tensor.layer ?? Int.max, tensor.architectureModule ?? Int.max, module.expert ?? 0, position,
                ]
                modules.append((order, module))
            }
        }
        return modules.sorted { $0.order.lexicographicallyPrecedes($1.order) }.map(\.module)
    }

    private static func linearModule(of tensor: CheckpointTensor, slice: Int?, biasName: String?) -> LinearModule {
        let sides = tensor.shape.suffix(2)
        let stored = (rows: sides[sides.startIndex], columns: sides[sides.startIndex + 1])
        return LinearModule(
            name: slice.map { "\(tensor.module).\($0)" } ?? tensor.module, weightName: tensor.name, biasName: biasName,
            role: tensor.role, layer: tensor.layer, expert: slice ?? tensor.expert,
            outFeatures: tensor.isTransposed ? stored.columns : stored.rows,
            inFeatures: tensor.isTransposed ? stored.rows : stored.columns, dtype: tensor.dtype,
            isTransposed: tensor.isTransposed, slice: slice,
            selectedByDefault: tensor.layer != nil && tensor.role.isSelectedInBlocks)
    }

    // MARK: Against the configuration

    /// Collects missing tensors, layers too many and shapes that disagree.
    mutating func checkAgainstConfig(_ tensors: [CheckpointTensor], dimensions: ModelDimensions) {
        guard let architecture, isConfigured else { return }
        for tensor in tensors {
            if let layers = dimensions.layers, let layer = tensor.layer, layer >= layers {
                warnings.append(.layerBeyondConfig(tensor: tensor.name, layers: layers))
            }
            guard let module = tensor.architectureModule, let sides = architecture.modules[module].shape else {
                continue
            }
            let expected = sides.map { dimensions.length(of: $0) }
            let agrees =
                expected.count == tensor.shape.count
                && zip(expected, tensor.shape).allSatisfy { $0.0 == nil || $0.0 == $0.1 }
            // Norms may have a bias beside their weight; both have the same shape.
            if !agrees, !expected.contains(nil) {
                warnings.append(
                    .shapeDisagrees(tensor: tensor.name, expected: expected.compactMap { $0 }, found: tensor.shape))
            }
        }
        let prefix = commonPrefix()
        warnings += MissingTensors(architecture: architecture, dimensions: dimensions, prefix: prefix)
            .names(given: Set(tensors.map { UTF8Key($0.name) }), compressed: Set(schemas.keys))
            .map(CheckpointWarning.missingTensor)
    }

    /// The prefix that most of the tensors have.
    private func commonPrefix() -> String {
        var counts: [String: Int] = [:]
        for (tensor, _) in places {
            let name = TensorName(tensor.name)
            let place = classifier.classify(module: name.module, parameter: name.parameter, shape: tensor.shape)
            if place.module != nil, place.layer != nil { counts[place.prefix, default: 0] += 1 }
        }
        return counts.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key ?? architecture?.prefixes.first ?? ""
    }
}

/// A tensor's name taken apart: `model.norm.weight` is the parameter `weight` of the module `model.norm`.
struct TensorName {
    let module: String
    /// Empty where the name does not end like a parameter's.
    let parameter: String

    private static let parameters: Set<Substring> = ["weight", "bias", "gamma", "beta"]

    init(_ name: String) {
        if let dot = name.lastIndex(of: "."), Self.parameters.contains(name[name.index(after: dot)...]) {
            module = String(name[..<dot])
            parameter = String(name[name.index(after: dot)...])
        } else {
            module = name
            parameter = ""
        }
    }
}
