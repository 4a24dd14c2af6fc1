import Checkpoints
import CommandLineKit
import CompressionCore
import Kernels
import MatrixCore
import Planning
import Safetensors

/// Compresses one matrix of a checkpoint and leaves the result in the journal.
///
/// The tensors of the module are a safetensors file of their own until the output is put together; the record beside it
/// has the report. Both are there or neither is, so a killed run continues behind the last one.
struct ModuleCompression {
    let checkpoint: Checkpoint
    let compressor: any Compressor
    let journal: Journal

    /// - Returns: what an earlier run found, or what this one does.
    func run(_ planned: PlannedModule) throws -> ModuleResult {
        let module = planned.module
        if let record = try journal.record(of: module.name) {
            guard let result = ModuleResult(record: record) else {
                throw JobError.badInput("the record of \(module.name) in the journal cannot be read")
            }
            return result
        }
        let file = checkpoint.file(of: module.weightName)
        let result = try Failure.naming(file: file, tensor: module.weightName) { try compress(planned, file: file) }
        checkpoint.dropPages(of: module)
        try journal.finish(module.name, record: result.record)
        return result
    }

    /// Where the tensors of a finished module are.
    func dataPath(of module: String) -> String { journal.dataPath(of: module, ".safetensors") }

    private func compress(_ planned: PlannedModule, file: String) throws -> ModuleResult {
        let watch = Stopwatch()
        let weight = try checkpoint.operand(of: planned.module)
        if let place = firstNonFinite(weight) {
            throw JobError.badInput(
                "the weight has \(weight[place.row, place.column]) at output \(place.row), input \(place.column); "
                    + "expected finite numbers only", file: file, tensor: planned.module.weightName)
        }
        let task = CompressionTask(member: planned.member, objective: Objective(target: weight))
        let outcomes = try compressor.compress([task], budget: planned.budget)
        guard let outcome = outcomes.first else { preconditionFailure("one outcome for each module") }
        switch outcome {
        case .dense(let reason):
            return ModuleReport(planned.module, seconds: watch.seconds).dense(because: reason)
        case .compressed(let compressed, let evidence):
            try validate(compressed, planned, file: file)
            let error = relativeError(of: weight, replacedBy: compressed)
            try write(compressed, of: planned.module.name)
            return ModuleReport(planned.module, seconds: watch.seconds)
                .compressed(compressed, evidence, relativeError: error)
        }
    }

    /// A factor that leaves the range of its type is an error and never an infinity on the disk.
    private func validate(_ compressed: any LinearOperator, _ planned: PlannedModule, file: String) throws {
        for tensor in compressed.tensors {
            guard let numbers = tensor.tensor.operand(), firstNonFinite(numbers) != nil else { continue }
            throw JobError.numericFailure(
                "\(tensor.fullName(in: planned.module.name)) does not fit \(tensor.tensor.dtype.rawValue); "
                    + "give --factor-dtype f32 or bf16", file: file, tensor: planned.module.weightName)
        }
    }

    private func write(_ compressed: any LinearOperator, of module: String) throws {
        let tensors = compressed.tensors
        let writer = try SafetensorsWriter(
            path: dataPath(of: module),
            tensors: tensors.map {
                TensorDeclaration(name: $0.fullName(in: module), dtype: $0.tensor.dtype, shape: $0.tensor.shape)
            })
        for tensor in tensors {
            try tensor.tensor.withUnsafeBytes { try writer.append($0, to: tensor.fullName(in: module)) }
        }
        try writer.finish()
    }
}
