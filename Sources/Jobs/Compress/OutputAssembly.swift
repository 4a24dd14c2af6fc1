import Checkpoints
import CommandLineKit
import CompressionCore
import Kernels
import MatrixCore
import Safetensors

/// Puts the compressed folder together: finished modules, everything else of the source, config.json.
///
/// Tensors keep the order of the source; the tensors of a module stand where its weight stood. A head that the
/// configuration ties to the embedding is not written a second time. Memory is bounded by one tensor.
struct OutputAssembly {
    private enum Origin {
        case source(String)
        /// A tensor of the finished group with this index.
        case group(Int)
        /// A slice that stays dense of a stack whose other slices are compressed.
        case slice(LinearModule)
    }

    private let checkpoint: Checkpoint
    private let compressed: [String: ModuleResult]
    private let method: String
    private let modulesOfWeight: [String: [LinearModule]]
    private var tensors: [(declaration: TensorDeclaration, origin: Origin)] = []
    /// For every group the file with its tensors; nil where all of it stays dense.
    private let tensorFiles: [String?]
    private let openFiles = OpenFiles()
    private var groupOfModule: [String: Int] = [:]

    init(
        _ checkpoint: Checkpoint, _ outline: CompressionOutline, _ results: [ModuleResult], _ tensorFiles: [String?]
    ) throws {
        self.checkpoint = checkpoint
        self.tensorFiles = tensorFiles
        method = outline.method
        compressed = Dictionary(uniqueKeysWithValues: results.filter(\.isCompressed).map { ($0.name, $0) })
        var modulesOfWeight: [String: [LinearModule]] = [:]
        for module in checkpoint.compressibleModules {
            for name in module.tensorNames { modulesOfWeight[name, default: []].append(module) }
        }
        self.modulesOfWeight = modulesOfWeight
        for (index, modules) in outline.groups.enumerated() {
            for module in modules { groupOfModule[module] = index }
        }
        try list()
    }

    /// Writes weights, index and configuration, and copies the other files.
    func write(
        to folder: String, maximumShardBytes: Int, progress: any ProgressReporter
    ) throws -> CheckpointWriter {
        let writer = try CheckpointWriter(
            folder: folder, config: config, tensors: tensors.map(\.declaration), maximumShardBytes: maximumShardBytes)
        let origins = Dictionary(uniqueKeysWithValues: tensors.map { ($0.declaration.name, $0.origin) })
        progress.begin(ProgressStage("write", total: writer.names.count, unit: .items("tensors")))
        for name in writer.names {
            defer { progress.advance(by: 1, name) }
            switch origins[name] {
            case .source(let original):
                let bytes = try checkpoint.bytes(of: original)
                try writer.append(bytes, to: name)
                warnOfNonFinite(numbers(of: original, bytes), original, progress)
                checkpoint.dropPages(of: original)
            case .group(let group):
                guard let file = try file(of: group) else { preconditionFailure("listed without its file") }
                try writer.append(try file.bytes(of: name), to: name)
                file.dropPages(of: name)
            case .slice(let module):
                let weight = try checkpoint.operand(of: module)
                try writer.append(weight, to: name)
                warnOfNonFinite(weight, name, progress)
            case nil:
                preconditionFailure("a tensor that was not declared")
            }
        }
        try writer.finish()
        progress.end()
        for file in try checkpoint.filesToCopy() {
            try StagedFile.write(try OpenFile.contents(of: checkpoint.path + "/" + file), as: file, in: folder)
        }
        // Behind the copies: a source that is compressed already has a loader of its own.
        if !compressed.isEmpty { try TransformersLoader(checkpoint)?.write(to: folder) }
        return writer
    }

    private func file(of group: Int) throws -> SafetensorsFile? {
        try tensorFiles[group].map(openFiles.file)
    }

    /// nil for types that are not computed with.
    private func numbers(of name: String, _ bytes: TensorBytes) -> MatrixOperand? {
        guard let tensor = checkpoint.tensor(named: name), let type = tensor.dtype.elementType else { return nil }
        return MatrixOperand(
            base: bytes.base, type: type, rows: 1, columns: tensor.elementCount, rowStride: tensor.elementCount,
            owner: bytes.owner)
    }

    /// Looks at numbers that were just copied, and so are in the cache. What is not selected is not this job's to judge,
    /// but a model with NaN in it will not run.
    private func warnOfNonFinite(_ numbers: MatrixOperand?, _ name: String, _ progress: any ProgressReporter) {
        guard let numbers, let place = firstNonFinite(numbers) else { return }
        let number = numbers[place.row, place.column], position = place.row * numbers.columns + place.column
        progress.log(
            .warning, "tensor \"\(name)\" has \(number) at element \(position); it is not selected and copied as it is")
    }

    /// Numbers that are no parameters: positions of pivots, bit maps.
    var indexElements: Int {
        let stored = tensors.reduce(0) { total, tensor in
            guard case .group = tensor.origin else { return total }
            return total + tensor.declaration.shape.reduce(1, *)
        }
        let carried = checkpoint.compressibleModules.reduce(0) {
            $0 + (compressed[$1.name] == nil ? $1.factors?.positions ?? 0 : 0)
        }
        return stored - compressed.values.reduce(0) { $0 + $1.parameters } + carried
    }

    // MARK: Tensors

    private mutating func list() throws {
        var biases: [String: String] = [:]
        for module in checkpoint.compressibleModules {
            guard let bias = module.biasName, let schema = compressed[module.name]?.schema else { continue }
            biases[bias] = MethodRegistry.library.biasName(of: module.name, schema: schema)
        }
        let tiedHead: String? = if case .identical(let head, _) = try checkpoint.tiedHead() { head } else { nil }
        var listed: Set<String> = []
        for tensor in checkpoint.tensors where tensor.name != tiedHead {
            let modules = modulesOfWeight[tensor.name] ?? []
            if modules.contains(where: { compressed[$0.name] != nil }) {
                // Where the first factor of several stood.
                for module in modules where listed.insert(module.name).inserted { try list(module) }
            } else {
                let name = biases[tensor.name] ?? tensor.name
                tensors.append(
                    (TensorDeclaration(name: name, dtype: tensor.dtype, shape: tensor.shape), .source(tensor.name)))
            }
        }
    }

    private mutating func list(_ module: LinearModule) throws {
        guard let result = compressed[module.name], let group = groupOfModule[module.name] else {
            let declaration = TensorDeclaration(
                name: "\(module.name).weight", dtype: module.dtype, shape: [module.outFeatures, module.inFeatures])
            tensors.append((declaration, .slice(module)))
            return
        }
        for name in result.tensors {
            guard let tensor = try file(of: group)?.tensor(named: name) else {
                throw JobError.badInput("the tensor \(name) of a finished matrix is gone")
            }
            tensors.append((TensorDeclaration(name: name, dtype: tensor.dtype, shape: tensor.shape), .group(group)))
        }
    }

    // MARK: Configuration

    /// The source's configuration, marked so that no loader that does not know the format opens it.
    private var config: JSON {
        guard !compressed.isEmpty else { return checkpoint.config }
        var config = checkpoint.config
        let family = checkpoint.modelType ?? "model"
        var modules = JSONObject()
        for module in checkpoint.compressibleModules {
            if let entry = compressed[module.name]?.entry { modules[module.name] = entry }
        }
        // What a source that is compressed itself has in other forms, or smaller already.
        let kept = checkpoint.compressedModules.filter { modules[$0.name] == nil }
        for module in kept { modules[module.name] = module.entry }
        let schemas = Set(modules.entries.compactMap { $0.value["schema"]?.string })
        config["model_type"] = JSON("lowrank_\(family)")
        if !checkpoint.isCompressed, let original = checkpoint.config["auto_map"] {
            config["low_rank_base_auto_map"] = original
        }
        config["auto_map"] = TransformersLoader(checkpoint)?.autoMap
        config["low_rank_base_model_type"] = checkpoint.modelType.map { JSON($0) }
        config["low_rank_format_version"] = 1
        let isSame = kept.isEmpty || checkpoint.config["low_rank_method"]?.string == method
        config["low_rank_method"] = JSON(isSame ? method : "mixed")
        config["low_rank_schema"] = JSON(schemas.count == 1 ? schemas.first ?? "mixed" : "mixed")
        config["low_rank_modules"] = .object(modules)
        return config
    }
}
