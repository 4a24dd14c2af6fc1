import Foundation
import MatrixCore
import Safetensors

/// A model on disk: a Hugging Face folder, or a single safetensors file.
///
/// Opening reads config.json and the headers of the weight files, checks them, and gives every tensor its role; no
/// weight is read. What is odd but readable is collected in `warnings`.
///
/// ```swift
/// let checkpoint = try Checkpoint(path: "Llama-2-7b-hf")
/// for module in checkpoint.linearModules where module.selectedByDefault {
///     let weight = try checkpoint.operand(of: module)     // (out × in), no copy
///     checkpoint.dropPages(of: module)
/// }
/// ```
///
/// - Cost: some milliseconds for a 7B model in eight shards.
public struct Checkpoint: Sendable {
    public let path: String
    /// config.json; an empty object where there is none.
    public let config: JSON
    /// Whether it is a folder; else a single file.
    public let isFolder: Bool
    public let files: [SafetensorsFile]
    /// `metadata` of the shard index; null where there is none.
    public let indexMetadata: JSON
    /// The known family of the model; nil where it is read by names and shapes alone.
    public let architecture: Architecture?
    public let dimensions: ModelDimensions
    /// In natural order of their names: layer 2 before layer 10.
    public let tensors: [CheckpointTensor]
    /// Every dense linear layer, by layer, then in the order of the forward pass where the family is known.
    public let linearModules: [LinearModule]
    /// Every layer in a compressed schema, in the order of config.json; empty for a dense checkpoint.
    public let compressedModules: [CompressedModule]
    public let warnings: [CheckpointWarning]

    private let positions: [UTF8Key: Int]

    /// - Throws: `CheckpointError` where a file is missing, malformed, or contradicts another.
    public init(path: String, access: SafetensorsFile.Access = .usual) throws(CheckpointError) {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw .file(FileError(.open, path, code: ENOENT))
        }
        self.path = path
        self.isFolder = isFolder.boolValue
        let configPath = path + "/" + Self.configName
        let config = self.isFolder ? try Self.readConfig(configPath) : nil
        let found =
            self.isFolder
            ? try CheckpointFiles(folder: path, access: access) : try CheckpointFiles(file: path, access: access)
        self.config = config ?? .object(JSONObject())
        files = found.files
        indexMetadata = found.indexMetadata
        dimensions = ModelDimensions(config: self.config)

        var reader = try ModelReader(config: self.config, configPath: configPath, places: found.places)
        architecture = reader.architecture
        compressedModules = reader.compressedModules
        let tensors = reader.tensors()
        let positions = Dictionary(uniqueKeysWithValues: tensors.enumerated().map { (UTF8Key($1.name), $0) })
        linearModules = reader.linearModules(of: tensors)
        reader.checkAgainstConfig(tensors, dimensions: dimensions)
        self.tensors = tensors
        self.positions = positions
        let missingConfig = self.isFolder && config == nil ? [CheckpointWarning.missingConfig(folder: path)] : []
        warnings = missingConfig + found.warnings + reader.warnings
    }

    static let configName = "config.json"

    private static func readConfig(_ path: String) throws(CheckpointError) -> JSON? {
        let config: JSON
        do {
            config = try JSON.parse(file: path)
        } catch {
            if case .unreadable(let failure) = error.rule, failure.isMissingFile { return nil }
            throw .config(error)
        }
        guard config.object != nil else { throw .configNotObject(file: path) }
        return config
    }

    // MARK: Tensors

    public func tensor(named name: String) -> CheckpointTensor? {
        positions[UTF8Key(name)].map { tensors[$0] }
    }

    /// Numbers stored in all tensors.
    public var parameterCount: Int { tensors.reduce(0) { $0 + $1.elementCount } }

    /// Bytes of all tensors, headers not included.
    public var byteCount: Int { tensors.reduce(0) { $0 + $1.byteCount } }

    public func bytes(of name: String) throws(CheckpointError) -> TensorBytes {
        try read(name) { (file) throws(SafetensorsError) in try file.bytes(of: name) }
    }

    /// Some bytes of a tensor, counted from its first.
    public func bytes(of name: String, in range: Range<Int>) throws(CheckpointError) -> TensorBytes {
        try read(name) { (file) throws(SafetensorsError) in try file.bytes(of: name, in: range) }
    }

    /// A matrix, vector (one row) or number as stored.
    public func operand(of name: String) throws(CheckpointError) -> MatrixOperand {
        try read(name) { (file) throws(SafetensorsError) in try file.operand(of: name) }
    }

    /// The weight of a linear layer as (out × in), however it is stored; no copy.
    public func operand(of module: LinearModule) throws(CheckpointError) -> MatrixOperand {
        let stored = try read(module.weightName) { (file) throws(SafetensorsError) in
            if let slice = module.slice { return try file.operand(of: module.weightName, slice: slice) }
            return try file.operand(of: module.weightName)
        }
        return module.isTransposed ? stored.transposed : stored
    }

    /// Tells the system that a tensor is not needed any more.
    public func dropPages(of name: String) {
        if let tensor = tensor(named: name) { files[tensor.file].dropPages(of: name) }
    }

    public func dropPages(of module: LinearModule) { module.tensorNames.forEach(dropPages) }

    /// Tells the system that a tensor will be read soon.
    public func prefetch(_ name: String) {
        if let tensor = tensor(named: name) { files[tensor.file].prefetch(name) }
    }

    public func prefetch(_ module: LinearModule) {
        for name in module.tensorNames { prefetch(name) }
    }

    private func read<Result>(
        _ name: String, _ body: (SafetensorsFile) throws(SafetensorsError) -> Result
    ) throws(CheckpointError) -> Result {
        guard let tensor = tensor(named: name) else { throw .noSuchTensor(checkpoint: path, tensor: name) }
        do {
            return try body(files[tensor.file])
        } catch {
            throw .safetensors(error)
        }
    }

    // MARK: The model

    /// Whether the folder was written by this program.
    public var isCompressed: Bool { config["low_rank_format_version"] != nil }

    /// `model_type` of the dense model.
    public var modelType: String? { Self.modelType(of: config) }

    static func modelType(of config: JSON) -> String? {
        config["low_rank_base_model_type"]?.string ?? config["model_type"]?.string
    }
}
