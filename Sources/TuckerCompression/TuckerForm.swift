import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore
import Safetensors

/// Makes the operators of a group: decomposes, takes the factors back to the weights, rounds them, fits the core.
struct TuckerForm {
    let tasks: [CompressionTask]
    let problem: TuckerProblem
    let decomposition: TuckerDecomposition
    /// The weighted stack.
    let tensor: TuckerTensor

    private var layout: TuckerLayout { problem.layout }

    init(_ tasks: [CompressionTask], _ layout: TuckerLayout, decomposition: TuckerDecomposition) throws {
        self.tasks = tasks
        self.decomposition = decomposition
        for task in tasks {
            if let place = firstNonFinite(task.objective.target) {
                throw LinearAlgebraError.nonFinite(row: place.row, column: place.column)
            }
        }
        problem = try TuckerProblem(tasks, layout)
        tensor = problem.tensor()
    }

    /// One outcome for each member, all compressed.
    /// - Returns: also what the decomposition leaves out, as a share of Σσ² of the weighted stack.
    func outcomes(_ ranks: TuckerRanks) throws -> (members: [CompressionOutcome], lost: Double) {
        let result = try decomposition.decompose(tensor, ranks)
        let factors = try problem.factors(of: result)
        let type = tasks[0].member.factorType
        let storage = TuckerStorage(layout: layout, ranks: ranks, group: tasks[0].member.module)
        let computed = try operators(factors, storage, fits: !problem.isExact, type: .float32)
        let stored = type == .float32 ? computed : try operators(factors, storage, fits: true, type: type)
        let group = groupEvidence(result, ranks)
        let whole = sumOfSquares(MatrixOperand(tensor.elements))
        let lost = whole > 0 ? max(0, 1 - (result.captured.last ?? 0) / whole) : 0
        let outcomes = tasks.indices.map { index in
            var evidence = group
            evidence.energyKept = energyKept(computed[index], index)
            evidence.roundingError = type == .float32 ? 0 : Self.distance(
                stored[index], computed[index], over: tasks[index].objective.target)
            return CompressionOutcome.compressed(stored[index], evidence)
        }
        return (outcomes, lost)
    }

    /// The operators of factors rounded to a type, with the core fitted to them.
    private func operators(
        _ factors: TuckerFactors, _ storage: TuckerStorage, fits: Bool, type: ElementType
    ) throws(OperatorError) -> [TuckerOperator] {
        var rounded = factors
        rounded.members = factors.members?.rounded(to: type)
        rounded.rows = factors.rows?.rounded(to: type)
        rounded.columns = factors.columns?.rounded(to: type)
        if fits { rounded.core = TuckerCoreFit(layout: layout, factors: rounded).core(for: problem.slices) }
        let parts = storage.parts.map { part in
            StoredTensor(rounded.operand(part.mode, layout), as: type, shape: part.shape)
        }
        var operators: [TuckerOperator] = []
        for member in tasks.indices {
            operators.append(try TuckerOperator(member: member, of: storage, parts: parts))
        }
        return operators
    }

    private func groupEvidence(_ result: TuckerDecomposition.Result, _ ranks: TuckerRanks) -> CompressionEvidence {
        var evidence = CompressionEvidence(solver: decomposition.algorithm.rawValue)
        evidence.shift = problem.shift
        if result.captured.count > 1 { evidence.details["sweeps"] = JSON(result.captured.count - 1) }
        if !problem.isExact { evidence.details["core_fitted_to_metrics"] = true }
        return evidence
    }

    /// 1 − (relative error)² of the numbers before rounding, in the metric of the member.
    private func energyKept(_ compressed: TuckerOperator, _ index: Int) -> Double {
        let error = tasks[index].objective.relativeError(of: compressed)
        return error.isFinite ? max(0, 1 - error * error) : 0
    }

    /// ‖W'₁ − W'₂‖_F / ‖W‖_F
    private static func distance(
        _ first: TuckerOperator, _ second: TuckerOperator, over target: MatrixOperand
    ) -> Double {
        let norm = sumOfSquares(target)
        guard norm > 0 else { return 0 }
        let difference = sumOfSquaredDifferences(
            MatrixOperand(first.reconstruct()), MatrixOperand(second.reconstruct()))
        return (difference / norm).squareRoot()
    }
}

extension Matrix {
    /// The numbers as a type holds them.
    fileprivate func rounded(to type: ElementType) -> Matrix {
        if type == .float32 || type == .float64 { return self }
        guard let operand = StoredTensor(MatrixOperand(self), as: type).operand() else { return self }
        var result = Matrix(uninitializedRows: rows, columns: columns)
        convert(operand, into: MutableMatrixOperand(result.mutableView()))
        return result
    }
}

extension TuckerFactors {
    /// What is stored for a mode, nil for the core, with the axes of the layout.
    fileprivate func operand(_ mode: TuckerMode?, _ layout: TuckerLayout) -> MatrixOperand {
        switch mode {
        case .members: members.map { MatrixOperand($0) } ?? MatrixOperand(core.elements)
        case .rows: rows.map { MatrixOperand($0) } ?? MatrixOperand(core.elements)
        case .columns:
            columns.map { layout.kind == .matrix ? MatrixOperand($0).transposed : MatrixOperand($0) }
                ?? MatrixOperand(core.elements)
        case nil:
            layout.kind == .heads ? MatrixOperand(headsCore) : MatrixOperand(core.elements)
        }
    }

    /// The core as [r₃, heads·r₂, r₁], flat: the order of the axes that is stored for attention.
    private var headsCore: Matrix {
        let height = core.heads * core.rows
        let source = core.elements.view
        return Matrix(rows: core.columns * height, columns: core.members) { place, member in
            source[member * height + place % height, place / height]
        }
    }
}
