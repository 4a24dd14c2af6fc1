import Foundation
import MatrixCore
import Safetensors

/// Writes the weights and the configuration of a checkpoint into a folder.
///
/// Tensors are declared first, in the order in which they are dealt out to shards, and then written in any order and in
/// pieces. One shard is `model.safetensors`; several are `model-00001-of-0000n.safetensors` with their index. A shard
/// is finished, and its file closed, as soon as its last tensor is complete, and only one that has begun is open.
/// Memory does not grow with the model. The folder itself must exist; forcing it to the disk is left to the caller.
///
/// ```swift
/// let writer = try CheckpointWriter(
///     folder: out, config: config, tensors: declarations, maximumShardBytes: 5_000_000_000)
/// for name in writer.names { try writer.append(bytes(of: name), to: name) }
/// try writer.finish()
/// ```
public final class CheckpointWriter {
    public let folder: String
    /// Bytes of all tensors, headers not included; the `total_size` of the index.
    public let tensorBytes: Int
    /// Numbers in all tensors; the `total_parameters` of the index.
    public let parameterCount: Int
    /// File names, in order.
    public let shardNames: [String]
    /// Tensors shard by shard, each in the order of its file: written in this order, every file grows from start to
    /// end.
    public let names: [String]

    private let config: JSON
    private let shards: [[TensorDeclaration]]
    private let shardOfTensor: [UTF8Key: Int]
    private var writers: [Int: SafetensorsWriter] = [:]
    private var isFinished: [Bool]

    /// Deals out the tensors; nothing is written yet.
    ///
    /// - Parameters:
    ///   - config: written to config.json by `finish`.
    ///   - maximumShardBytes: a shard takes tensors up to this size, and at least one.
    /// - Throws: `.duplicateTensor`, or `.safetensors` for a tensor that the format cannot hold.
    public init(
        folder: String, config: JSON, tensors: [TensorDeclaration], maximumShardBytes: Int
    ) throws(CheckpointError) {
        self.folder = folder
        self.config = config
        let sizes = try Self.byteCounts(of: tensors)
        shards = Self.deal(tensors, sizes: sizes, maximumShardBytes: maximumShardBytes)
        shardNames = Self.names(ofShards: shards.count)
        tensorBytes = sizes.reduce(0, +)
        parameterCount = tensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
        isFinished = [Bool](repeating: false, count: shards.count)
        var shardOfTensor: [UTF8Key: Int] = [:]
        for (shard, tensors) in shards.enumerated() {
            for tensor in tensors where shardOfTensor.updateValue(shard, forKey: UTF8Key(tensor.name)) != nil {
                throw .duplicateTensor(tensor: tensor.name)
            }
        }
        self.shardOfTensor = shardOfTensor
        names = shards.flatMap { SafetensorsWriter.order(of: $0).map(\.name) }
    }

    /// The shards that are full with the first tensors of a checkpoint, whatever follows.
    public static func fullShards(
        of tensors: [TensorDeclaration], maximumShardBytes: Int
    ) throws(CheckpointError) -> [[TensorDeclaration]] {
        let shards = deal(tensors, sizes: try byteCounts(of: tensors), maximumShardBytes: maximumShardBytes)
        return Array(shards.dropLast())
    }

    /// Notes that a shard lies in the folder under its name already.
    public func skip(shard: Int) {
        precondition(!isFinished[shard] && writers[shard] == nil, "a shard that was begun here")
        isFinished[shard] = true
    }

    /// As `names`, without those of shards that are finished.
    public var remainingNames: [String] {
        zip(shards, isFinished).flatMap { shard, isFinished in
            isFinished ? [] : SafetensorsWriter.order(of: shard).map(\.name)
        }
    }

    /// Writes the next bytes of a tensor.
    public func append(_ bytes: UnsafeRawBufferPointer, to name: String) throws(CheckpointError) {
        try write(name) { (writer) throws(SafetensorsError) in try writer.append(bytes, to: name) }
    }

    public func append(_ bytes: TensorBytes, to name: String) throws(CheckpointError) {
        try bytes.withUnsafeBytes { (bytes) throws(CheckpointError) in try append(bytes, to: name) }
    }

    /// Writes rows of a matrix as they are in memory.
    public func append(_ matrix: MatrixOperand, to name: String) throws(CheckpointError) {
        try write(name) { (writer) throws(SafetensorsError) in try writer.append(matrix, to: name) }
    }

    /// Writes a tensor as it is in another checkpoint.
    public func copy(_ name: String, from checkpoint: Checkpoint) throws(CheckpointError) {
        try append(checkpoint.bytes(of: name), to: name)
        checkpoint.dropPages(of: name)
    }

    /// Finishes what is open, and writes the index and the configuration.
    ///
    /// - Throws: `.safetensors` with `.unwritten` for a tensor whose bytes are not complete.
    public func finish() throws(CheckpointError) {
        for shard in shards.indices where !isFinished[shard] {
            // A shard whose tensors are all empty has not begun yet.
            try finish(shard, try writer(ofShard: shard))
        }
        do {
            if shards.count > 1 {
                try AtomicFile.write(
                    index.text(pretty: true), to: folder + "/" + ShardIndex.fileName, durability: .deferred)
            }
            try AtomicFile.write(
                config.text(pretty: true), to: folder + "/" + Checkpoint.configName, durability: .deferred)
        } catch {
            throw .file(error)
        }
    }

    // MARK: Shards

    private func write(
        _ name: String, _ body: (SafetensorsWriter) throws(SafetensorsError) -> Void
    ) throws(CheckpointError) {
        guard let shard = shardOfTensor[UTF8Key(name)] else { throw .noSuchTensor(checkpoint: folder, tensor: name) }
        let writer = try writer(ofShard: shard)
        do {
            try body(writer)
        } catch {
            throw .safetensors(error)
        }
        if writer.isComplete { try finish(shard, writer) }
    }

    private func writer(ofShard shard: Int) throws(CheckpointError) -> SafetensorsWriter {
        let path = folder + "/" + shardNames[shard]
        if let writer = writers[shard] { return writer }
        if isFinished[shard] {
            // Every tensor is complete, so these bytes are too many.
            throw .duplicateTensor(tensor: shards[shard].first?.name ?? "")
        }
        do {
            let writer = try SafetensorsWriter(path: path, tensors: shards[shard], durability: .deferred)
            writers[shard] = writer
            return writer
        } catch {
            throw .safetensors(error)
        }
    }

    private func finish(_ shard: Int, _ writer: SafetensorsWriter) throws(CheckpointError) {
        do {
            try writer.finish()
        } catch {
            throw .safetensors(error)
        }
        writers[shard] = nil
        isFinished[shard] = true
    }

    /// Tensors by name, as the transformers library writes it.
    private var index: JSON {
        let map = zip(shards, shardNames).flatMap { tensors, file in tensors.map { (tensor: $0.name, file: file) } }
        return ShardIndex(
            weightMap: map.sorted { $0.tensor.utf8.lexicographicallyPrecedes($1.tensor.utf8) },
            metadata: ["total_parameters": JSON(parameterCount), "total_size": JSON(tensorBytes)]
        ).json
    }

    // MARK: Layout

    private static func byteCounts(of tensors: [TensorDeclaration]) throws(CheckpointError) -> [Int] {
        var sizes: [Int] = []
        for tensor in tensors {
            do {
                sizes.append(try tensor.byteCount)
            } catch {
                throw .safetensors(SafetensorsError(file: "", tensor: tensor.name, error))
            }
        }
        return sizes
    }

    /// Fills one shard after the other, in the order given.
    private static func deal(
        _ tensors: [TensorDeclaration], sizes: [Int], maximumShardBytes: Int
    ) -> [[TensorDeclaration]] {
        var shards: [[TensorDeclaration]] = [[]]
        var filled = 0
        for (tensor, size) in zip(tensors, sizes) {
            if filled > 0, size > maximumShardBytes - filled {
                shards.append([])
                filled = 0
            }
            shards[shards.count - 1].append(tensor)
            filled += size
        }
        return shards
    }

    private static func names(ofShards count: Int) -> [String] {
        if count == 1 { return [CheckpointFiles.singleFileName] }
        func digits(_ number: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(5 - text.count, 0)) + text
        }
        return (1...count).map { "model-\(digits($0))-of-\(digits(count)).safetensors" }
    }
}
