import Checkpoints
import CommandLineKit
import CompressionCore
import Kernels
import MatrixCore
import Planning
import Safetensors

/// Compresses one group of matrices of a checkpoint and hands the result to the journal, where it stays until the
/// output is put together.
struct GroupCompression {
    let checkpoint: Checkpoint
    var objectives: any ObjectiveProvider
    let finished: FinishedGroups
    /// Takes the place of what methods find, where a control is asked for.
    var control: Control?
    /// Whether the tensors are kept, and not only what is said of them.
    var keepsTensors = true
    /// Where what becomes of each matrix is told; nil tells it to no one.
    var lines: ModuleLines?

    /// What an earlier run found, or what this one does; a result for each module of the group, in order.
    func result(of group: PlannedGroup, _ progress: any ProgressReporter) throws -> [ModuleResult] {
        let earlier = try finished.results(of: group)
        let results = try earlier ?? run(group)
        for (planned, result) in zip(group.modules, results) {
            lines?.add(result, of: planned.module, isNew: earlier == nil)
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
        let watch = Stopwatch()
        let read = try tasks(of: group)
        let found = try naming(group.modules[0].module) {
            try group.compressor.compress(read.tasks, budget: group.budget)
        }
        let results = try record(found, of: group, read, seconds: watch.seconds)
        for planned in group.modules { checkpoint.dropPages(of: planned.module) }
        return results
    }

    // MARK: Parts

    /// The matrices of a group, and what is asked of them.
    struct GroupTasks {
        let weights: [MatrixOperand]
        let tasks: [CompressionTask]
        /// Seconds that reading took; none once a result has them.
        var readSeconds: Double
    }

    /// Reads the matrices of a group.
    func tasks(of group: PlannedGroup) throws -> GroupTasks {
        let watch = Stopwatch()
        let weights = try group.modules.map { try weight(of: $0.module) }
        let seconds = watch.seconds
        return GroupTasks(weights: weights.map(\.matrix), tasks: try tasks(of: group, weights), readSeconds: seconds)
    }

    private func tasks(
        of group: PlannedGroup, _ weights: [(matrix: MatrixOperand, factors: Factors?)]
    ) throws -> [CompressionTask] {
        try zip(group.modules, weights).map { planned, weight in
            CompressionTask(
                member: planned.member,
                objective: try objectives.objective(
                    for: planned.module, weight: weight.matrix, factors: weight.factors))
        }
    }

    /// What becomes of each module of a group.
    func outcomes(
        of group: PlannedGroup, _ weights: [(matrix: MatrixOperand, factors: Factors?)]
    ) throws -> [CompressionOutcome] {
        let tasks = try tasks(of: group, weights)
        return try naming(group.modules[0].module) {
            try controlled(try group.compressor.compress(tasks, budget: group.budget), tasks)
        }
    }

    private func controlled(
        _ outcomes: [CompressionOutcome], _ tasks: [CompressionTask]
    ) throws -> [CompressionOutcome] {
        let outcomes = try control?.outcomes(inPlaceOf: outcomes, of: tasks) ?? outcomes
        precondition(outcomes.count == tasks.count, "one outcome for each module")
        return outcomes
    }

    /// Measures what a method made of a group and hands it to the journal; a result for each module, in order.
    func record(
        _ found: [CompressionOutcome], of group: PlannedGroup, _ read: GroupTasks, seconds: Double
    ) throws -> [ModuleResult] {
        let outcomes = try naming(group.modules[0].module) { try controlled(found, read.tasks) }
        let seconds = seconds / Double(outcomes.count), readSeconds = read.readSeconds / Double(outcomes.count)
        var shared: Set<String> = []
        let results = try group.modules.indices.map { index in
            let module = group.modules[index].module
            return try result(
                of: module, outcomes[index], read.weights[index],
                ModuleReport(module, method: group.method, seconds: seconds, readSeconds: readSeconds), &shared,
                isPlain: read.tasks[index].objective.isPlain)
        }
        try add(group, results, outcomes)
        return results
    }

    /// The report of a module, measured on what is stored.
    /// - Parameters:
    ///   - shared: tensors that earlier modules of the group have brought along.
    ///   - isPlain: whether the objective was plain, so that its target is the weight.
    func result(
        of module: LinearModule, _ outcome: CompressionOutcome, _ weight: MatrixOperand, _ report: ModuleReport,
        _ shared: inout Set<String>, isPlain: Bool = false
    ) throws -> ModuleResult {
        switch outcome {
        case .dense(let reason):
            return report.unchanged(because: reason)
        case .compressed(let compressed, var evidence):
            try validate(compressed, module)
            let known = isPlain ? evidence.plainError : nil
            let errors = try evidence.stages.timed("measure") { () throws -> ModuleReport.Errors in
                ModuleReport.Errors(
                    relative: known ?? relativeError(of: weight, replacedBy: compressed),
                    inputs: try objectives.inputErrors(of: compressed, for: module, weight: weight))
            }
            return report.compressed(compressed, evidence, errors, alreadyStored: &shared)
        }
    }

    /// Hands a group over to the journal.
    func finish(_ group: PlannedGroup, _ results: [ModuleResult], _ outcomes: [CompressionOutcome]) throws {
        try add(group, results, outcomes)
        for planned in group.modules { checkpoint.dropPages(of: planned.module) }
    }

    private func add(_ group: PlannedGroup, _ results: [ModuleResult], _ outcomes: [CompressionOutcome]) throws {
        try finished.add(group, results, tensors: keepsTensors ? tensors(of: group, outcomes) : [])
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
