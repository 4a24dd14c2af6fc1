import Checkpoints
import CommandLineKit
import CompressionCore
import Kernels
import MatrixCore
import Planning
import Safetensors

/// Compresses one group of matrices of a checkpoint and hands the result to the journal, where it stays until the output
/// is put together.
struct GroupCompression {
    let checkpoint: Checkpoint
    var objectives: any ObjectiveProvider
    let finished: FinishedGroups
    /// Takes the place of what methods find, where a control is asked for.
    var control: Control?

    /// What an earlier run found, or what this one does; a result for each module of the group, in order.
    func result(of group: PlannedGroup, _ progress: any ProgressReporter) throws -> [ModuleResult] {
        let earlier = try finished.results(of: group)
        let results = try earlier ?? run(group)
        for (planned, result) in zip(group.modules, results) {
            progress.log(.detail, ModuleLine(result, of: planned.module).text)
        }
        if earlier == nil { progress.advance(by: results.count, group.name) }
        return results
    }

    private func run(_ group: PlannedGroup) throws -> [ModuleResult] {
        if let reason = group.keptDense {
            let results = group.modules.map {
                ModuleReport($0.module, method: group.method, seconds: 0).unchanged(because: reason)
            }
            try finished.add(group, results, tensors: [])
            return results
        }
        let weights = try group.modules.map { try weight(of: $0.module) }
        let watch = Stopwatch()
        let outcomes = try outcomes(of: group, weights)
        let seconds = watch.seconds / Double(outcomes.count)
        var shared: Set<String> = []
        let results = try group.modules.indices.map { index in
            try result(
                of: group.modules[index].module, outcomes[index], weights[index].matrix,
                ModuleReport(group.modules[index].module, method: group.method, seconds: seconds), &shared)
        }
        try finish(group, results, outcomes)
        return results
    }

    // MARK: Parts

    /// What becomes of each module of a group.
    func outcomes(
        of group: PlannedGroup, _ weights: [(matrix: MatrixOperand, factors: Factors?)]
    ) throws -> [CompressionOutcome] {
        let tasks = try zip(group.modules, weights).map { planned, weight in
            CompressionTask(
                member: planned.member,
                objective: try objectives.objective(
                    for: planned.module, weight: weight.matrix, factors: weight.factors))
        }
        let outcomes = try naming(group.modules[0].module) {
            let found = try group.compressor.compress(tasks, budget: group.budget)
            return try control?.outcomes(inPlaceOf: found, of: tasks) ?? found
        }
        precondition(outcomes.count == tasks.count, "one outcome for each module")
        return outcomes
    }

    /// The report of a module, measured on what is stored.
    /// - Parameter shared: tensors that earlier modules of the group have brought along.
    func result(
        of module: LinearModule, _ outcome: CompressionOutcome, _ weight: MatrixOperand, _ report: ModuleReport,
        _ shared: inout Set<String>
    ) throws -> ModuleResult {
        switch outcome {
        case .dense(let reason):
            return report.unchanged(because: reason)
        case .compressed(let compressed, let evidence):
            try validate(compressed, module)
            let errors = ModuleReport.Errors(
                relative: relativeError(of: weight, replacedBy: compressed),
                inputs: try objectives.inputErrors(of: compressed, for: module, weight: weight))
            return report.compressed(compressed, evidence, errors, alreadyStored: &shared)
        }
    }

    /// Hands a group over to the journal.
    func finish(_ group: PlannedGroup, _ results: [ModuleResult], _ outcomes: [CompressionOutcome]) throws {
        try finished.add(group, results, tensors: tensors(of: group, outcomes))
        for planned in group.modules { checkpoint.dropPages(of: planned.module) }
    }

    // MARK: Reading

    func weight(of module: LinearModule) throws -> (matrix: MatrixOperand, factors: Factors?) {
        try naming(module) { try checkpoint.finiteWeight(of: module) }
    }

    func naming<Result>(_ module: LinearModule, _ body: () throws -> Result) throws -> Result {
        try Failure.naming(file: file(of: module), tensor: module.weightName, body)
    }

    private func file(of module: LinearModule) -> String {
        checkpoint.file(of: module.tensorNames.first ?? module.weightName)
    }

    // MARK: Results

    /// A factor that leaves the range of its type is an error and never an infinity on the disk.
    private func validate(_ compressed: any LinearOperator, _ module: LinearModule) throws {
        for tensor in compressed.tensors where !tensor.isIndex {
            guard let numbers = tensor.tensor.operand(), firstNonFinite(numbers) != nil else { continue }
            throw JobError.numericFailure(
                "\(tensor.fullName(in: module.name)) does not fit \(tensor.tensor.dtype.rawValue); "
                    + "give --factor-dtype f32 or bf16", file: file(of: module), tensor: module.weightName)
        }
    }

    /// The tensors of all modules, those they share once.
    private func tensors(
        of group: PlannedGroup, _ outcomes: [CompressionOutcome]
    ) -> [(name: String, tensor: StoredTensor)] {
        var names: Set<String> = []
        var tensors: [(name: String, tensor: StoredTensor)] = []
        for (planned, outcome) in zip(group.modules, outcomes) {
            guard case .compressed(let compressed, _) = outcome else { continue }
            for tensor in compressed.tensors {
                let name = tensor.fullName(in: planned.module.name)
                if names.insert(name).inserted { tensors.append((name, tensor.tensor)) }
            }
        }
        return tensors
    }
}
