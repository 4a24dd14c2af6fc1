import CompressionCore
import MatrixCore
import Models
import Safetensors

/// What a recovery writes down as it goes, and reads back when it is resumed.
struct RecoveryUnits {
    let journal: Journal

    /// A finished part: the numbers of some layers, by full name, and what the report says of it.
    func finished(_ unit: String) throws -> (tensors: [String: Matrix], record: JSON)? {
        guard let record = try journal.record(of: unit) else { return nil }
        return (try read(unit), record)
    }

    func finish(_ unit: String, _ tensors: [String: Matrix], record: JSON) throws {
        try write(tensors, unit)
        try journal.finish(unit, record: record)
    }

    // MARK: The state of a training

    /// The last epoch that was written down.
    func state(_ name: String, like layers: TrainedLayers, epochs: Int) throws -> TrainingLoop.State? {
        guard
            let epoch = try (1...max(epochs, 1)).last(where: { try journal.record(of: Self.unit(name, $0)) != nil }),
            let record = try journal.record(of: Self.unit(name, epoch))
        else { return nil }
        let tensors = try read(Self.unit(name, epoch))
        func part(_ prefix: String) -> [String: Matrix] {
            Dictionary(
                uniqueKeysWithValues: tensors.filter { $0.key.hasPrefix(prefix) }.map {
                    (String($0.key.dropFirst(prefix.count)), $0.value)
                })
        }
        var optimizer = AdamOptimizer(for: layers.tensors)
        optimizer.restore(means: part("mean/"), squares: part("square/"), steps: record["steps"]?.int ?? 0)
        return TrainingLoop.State(
            tensors: part("tensor/"), optimizer: optimizer, best: part("best/"),
            losses: record["losses"]?.array?.map { $0.double ?? .infinity } ?? [])
    }

    func save(_ state: TrainingLoop.State, _ name: String) throws {
        var tensors: [String: Matrix] = [:]
        func add(_ prefix: String, _ part: [String: Matrix]) {
            for (name, value) in part { tensors[prefix + name] = value }
        }
        add("tensor/", state.tensors)
        add("best/", state.best)
        add("mean/", state.optimizer.means)
        add("square/", state.optimizer.squares)
        try finish(
            Self.unit(name, state.epoch), tensors,
            record: ["losses": .array(state.losses.map { JSON($0) }), "steps": JSON(state.optimizer.steps)])
        if state.epoch > 1 { try FileSystem.removeTree(path(Self.unit(name, state.epoch - 1))) }
    }

    private static func unit(_ name: String, _ epoch: Int) -> String { "\(name)-epoch-\(epoch)" }

    // MARK: Files

    private func path(_ unit: String) -> String { journal.dataPath(of: unit, ".safetensors") }

    private func write(_ tensors: [String: Matrix], _ unit: String) throws {
        let sorted = tensors.sorted { $0.key < $1.key }
        let writer = try SafetensorsWriter(
            path: path(unit),
            tensors: sorted.map {
                TensorDeclaration(name: $0.key, dtype: .f32, shape: [$0.value.rows, $0.value.columns])
            })
        for (name, value) in sorted { try writer.append(MatrixOperand(value), to: name) }
        try writer.finish()
    }

    private func read(_ unit: String) throws -> [String: Matrix] {
        let file = try SafetensorsFile(path: path(unit), access: .read)
        var tensors: [String: Matrix] = [:]
        for tensor in file.tensors {
            let stored = StoredTensor(
                dtype: tensor.dtype, shape: tensor.shape, bytes: try file.bytes(of: tensor.name))
            tensors[tensor.name] = stored.floats
        }
        return tensors
    }
}
