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
///
/// Before all is finished it is the front of the output: the tensors before the first that is not decided yet. Shards
/// that these fill are written ahead (`ShardStream`), and taken over by the whole.
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
    private let sources: FinishedTensors
    /// Modules that something has become of.
    private let finished: Set<String>
    private let maximumShardBytes: Int
    private let openFiles = OpenFiles()
    private let interruption: Interruption
    private var groupOfModule: [String: Int] = [:]

    /// - Parameters:
    ///   - results: of all modules of the outline, or of those that are finished.
    ///   - interruption: looked at before every tensor, and within large ones, of which a shard may have gigabytes.
    init(
        _ checkpoint: Checkpoint, _ outline: CompressionOutline, _ results: [ModuleResult], _ sources: FinishedTensors,
        interruption: Interruption
    ) throws {
        self.interruption = interruption
        self.checkpoint = checkpoint
        self.sources = sources
        finished = Set(results.map(\.name))
        maximumShardBytes = outline.maximumShardBytes
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

    // MARK: Writing

    /// The shards that the front of the output fills.
    func fullShards() throws -> [[TensorDeclaration]] {
        try CheckpointWriter.fullShards(of: tensors.map(\.declaration), maximumShardBytes: maximumShardBytes)
    }

    /// Writes one of them to a file that appears when it is complete and safe on the disk.
    func write(shard: [TensorDeclaration], to path: String, progress: any ProgressReporter) throws {
        let writer = try SafetensorsWriter(path: path, tensors: shard)
        let origins = origins
        for tensor in writer.layout {
            try copy(tensor.name, from: origins[tensor.name], progress) { matrix in
                try writer.append(matrix, to: tensor.name)
            } bytes: { bytes in
                try bytes.withUnsafeBytes { try writer.append($0, to: tensor.name) }
            }
        }
        try writer.finish()
    }

    /// Writes weights, index and configuration, and copies the other files.
    func write(to folder: String, progress: any ProgressReporter) throws -> CheckpointWriter {
        let writer = try CheckpointWriter(
            folder: folder, config: config, tensors: tensors.map(\.declaration), maximumShardBytes: maximumShardBytes)
        for (shard, path) in sources.shards.enumerated() {
            try FileSystem.link(path, to: "\(folder)/\(writer.shardNames[shard])")
            writer.skip(shard: shard)
        }
        let origins = origins, names = writer.remainingNames
        progress.begin(ProgressStage("write", total: names.count, unit: .items("tensors")))
        for name in names {
            try copy(name, from: origins[name], progress) { matrix in
                try writer.append(matrix, to: name)
            } bytes: { bytes in
                try writer.append(bytes, to: name)
            }
            progress.advance(by: 1, name)
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

    private var origins: [String: Origin] {
        Dictionary(uniqueKeysWithValues: tensors.map { ($0.declaration.name, $0.origin) })
    }

    /// Bytes of an uncompressed tensor that are in memory at one time; a multiple of the size of any number.
    private static let pieceBytes = 16 << 20

    /// Hands a tensor over as it lies in memory, in pieces where it may be large.
    private func copy(
        _ name: String, from origin: Origin?, _ progress: any ProgressReporter, matrix: (MatrixOperand) throws -> Void,
        bytes: (TensorBytes) throws -> Void
    ) throws {
        switch origin {
        case .source(let original):
            let count = checkpoint.tensor(named: original)?.byteCount ?? 0
            var isFinite = true
            for start in stride(from: 0, to: count, by: Self.pieceBytes) {
                try interruption.check()
                let content = try checkpoint.bytes(of: original, in: start..<min(start + Self.pieceBytes, count))
                try bytes(content)
                if isFinite { isFinite = !warnOfNonFinite(content, of: original, at: start, progress) }
                checkpoint.dropPages(of: original)
            }
        case .group(let group):
            try interruption.check()
            guard let file = try file(of: name, group) else { preconditionFailure("listed without its file") }
            try bytes(try file.bytes(of: name))
            file.dropPages(of: name)
        case .slice(let module):
            try interruption.check()
            let weight = try checkpoint.operand(of: module)
            try matrix(weight)
            warnOfNonFinite(weight, name, from: 0, progress)
        case nil:
            preconditionFailure("a tensor that was not declared")
        }
    }

    private func file(of tensor: String, _ group: Int) throws -> SafetensorsFile? {
        try sources.file(of: tensor, group: group).map(openFiles.file)
    }

    /// Looks at a piece of a tensor that begins at a byte; types that are not computed with are not looked at.
    private func warnOfNonFinite(
        _ bytes: TensorBytes, of name: String, at start: Int, _ progress: any ProgressReporter
    ) -> Bool {
        guard let type = checkpoint.tensor(named: name)?.dtype.elementType else { return false }
        let count = bytes.count / type.bytes
        let numbers = MatrixOperand(
            base: bytes.base, type: type, rows: 1, columns: count, rowStride: count, owner: bytes.owner)
        return warnOfNonFinite(numbers, name, from: start / type.bytes, progress)
    }

    /// Looks at numbers that were just copied, and so are in the cache. What is not selected is not this job's to
    /// judge, but a model with NaN in it will not run.
    /// - Returns: whether there was one to warn of.
    @discardableResult
    private func warnOfNonFinite(
        _ numbers: MatrixOperand, _ name: String, from first: Int, _ progress: any ProgressReporter
    ) -> Bool {
        guard let place = firstNonFinite(numbers) else { return false }
        let number = numbers[place.row, place.column], position = first + place.row * numbers.columns + place.column
        progress.log(
            .warning, "tensor \"\(name)\" has \(number) at element \(position); it is not selected and copied as it is")
        return true
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
        var biases: [String: String] = [:], modulesOfBias: [String: [LinearModule]] = [:]
        for module in checkpoint.compressibleModules {
            guard let bias = module.biasName else { continue }
            modulesOfBias[bias, default: []].append(module)
            guard let schema = compressed[module.name]?.schema else { continue }
            biases[bias] = MethodRegistry.library.biasName(of: module.name, schema: schema)
        }
        let tiedHead: String? = if case .identical(let head, _) = try checkpoint.tiedHead() { head } else { nil }
        var listed: Set<String> = []
        for tensor in checkpoint.tensors where tensor.name != tiedHead {
            let modules = modulesOfWeight[tensor.name] ?? []
            let deciding = modules + (modulesOfBias[tensor.name] ?? [])
            // The front of the output ends here.
            if deciding.contains(where: { groupOfModule[$0.name] != nil && !finished.contains($0.name) }) { break }
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
            guard let tensor = try file(of: name, group)?.tensor(named: name) else {
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
