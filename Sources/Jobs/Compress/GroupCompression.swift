import Checkpoints
import CommandLineKit
import CompressionCore
import Kernels
import MatrixCore
import Planning
import Safetensors

/// Compresses one group of matrices of a checkpoint and leaves the result in the journal.
///
/// The tensors of the group are a safetensors file of their own until the output is put together; the record beside it
/// has the report. Both are there or neither is, so a killed run continues behind the last one.
struct GroupCompression {
    let checkpoint: Checkpoint
    let journal: Journal

    /// - Returns: a result for each module of the group, in order.
    func run(_ group: PlannedGroup) throws -> [ModuleResult] {
        let weights = try group.modules.map { try weight(of: $0.module) }
        let watch = Stopwatch()
        let tasks = zip(group.modules, weights).map {
            CompressionTask(member: $0.member, objective: Objective(target: $1))
        }
        let outcomes = try naming(group.modules[0].module) {
            try group.compressor.compress(tasks, budget: group.budget)
        }
        precondition(outcomes.count == tasks.count, "one outcome for each module")
        var shared: Set<String> = []
        var results: [ModuleResult] = []
        for (index, planned) in group.modules.enumerated() {
            let seconds = watch.seconds / Double(outcomes.count)
            let report = ModuleReport(planned.module, method: group.method, seconds: seconds)
            switch outcomes[index] {
            case .dense(let reason):
                results.append(report.dense(because: reason))
            case .compressed(let compressed, let evidence):
                try validate(compressed, planned.module)
                let error = relativeError(of: weights[index], replacedBy: compressed)
                results.append(report.compressed(compressed, evidence, relativeError: error, alreadyStored: &shared))
            }
        }
        try write(group, outcomes)
        for planned in group.modules { checkpoint.dropPages(of: planned.module) }
        try journal.finish(group.name, record: ["modules": .array(results.map(\.record))])
        return results
    }

    /// What an earlier run found; nil if it did not get that far.
    func finished(_ group: PlannedGroup) throws -> [ModuleResult]? {
        guard let record = try journal.record(of: group.name) else { return nil }
        let results = record["modules"]?.array?.compactMap(ModuleResult.init) ?? []
        guard results.map(\.name) == group.modules.map(\.module.name) else {
            throw JobError.badInput("the record of \(group.name) in the journal cannot be read")
        }
        return results
    }

    /// Where the tensors of a finished group are.
    func dataPath(of group: PlannedGroup) -> String { journal.dataPath(of: group.name, ".safetensors") }

    // MARK: Reading

    private func weight(of module: LinearModule) throws -> MatrixOperand {
        try naming(module) {
            let weight = try checkpoint.operand(of: module)
            if let place = firstNonFinite(weight) {
                throw JobError.badInput(
                    "the weight has \(weight[place.row, place.column]) at output \(place.row), input \(place.column); "
                        + "expected finite numbers only", file: checkpoint.file(of: module.weightName),
                    tensor: module.weightName)
            }
            return weight
        }
    }

    private func naming<Result>(_ module: LinearModule, _ body: () throws -> Result) throws -> Result {
        try Failure.naming(file: checkpoint.file(of: module.weightName), tensor: module.weightName, body)
    }

    // MARK: Writing

    /// A factor that leaves the range of its type is an error and never an infinity on the disk.
    private func validate(_ compressed: any LinearOperator, _ module: LinearModule) throws {
        for tensor in compressed.tensors where !tensor.isIndex {
            guard let numbers = tensor.tensor.operand(), firstNonFinite(numbers) != nil else { continue }
            throw JobError.numericFailure(
                "\(tensor.fullName(in: module.name)) does not fit \(tensor.tensor.dtype.rawValue); "
                    + "give --factor-dtype f32 or bf16", file: checkpoint.file(of: module.weightName),
                tensor: module.weightName)
        }
    }

    private func write(_ group: PlannedGroup, _ outcomes: [CompressionOutcome]) throws {
        var names: Set<String> = []
        var tensors: [(name: String, tensor: StoredTensor)] = []
        for (planned, outcome) in zip(group.modules, outcomes) {
            guard case .compressed(let compressed, _) = outcome else { continue }
            for tensor in compressed.tensors {
                let name = tensor.fullName(in: planned.module.name)
                if names.insert(name).inserted { tensors.append((name, tensor.tensor)) }
            }
        }
        guard !tensors.isEmpty else { return }
        let writer = try SafetensorsWriter(
            path: dataPath(of: group),
            tensors: tensors.map { TensorDeclaration(name: $0.name, dtype: $0.tensor.dtype, shape: $0.tensor.shape) })
        for tensor in tensors {
            try tensor.tensor.withUnsafeBytes { try writer.append($0, to: tensor.name) }
        }
        try writer.finish()
    }
}
