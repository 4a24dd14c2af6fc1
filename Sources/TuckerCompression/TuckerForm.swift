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
    /// - Parameter storage: how factors are stored.
    /// - Returns: also what the decomposition leaves out, as a share of Σσ² of the weighted stack.
    func outcomes(
        _ ranks: TuckerRanks, _ storage: MethodSettings.Storage
    ) throws -> (members: [CompressionOutcome], lost: Double) {
        let result = try decomposition.decompose(tensor, ranks)
        var factors = try problem.factors(of: result)
        if storage == .pivot { factors = try factors.pivoted() }
        var layout = problem.layout
        layout.storage = storage
        let type = tasks[0].member.factorType
        let storage = TuckerStorage(layout: layout, ranks: ranks, group: tasks[0].member.module)
        let computed = try operators(factors, storage, fits: !problem.isExact, type: .float32)
        let stored = type == .float32 ? computed : try operators(factors, storage, fits: true, type: type)
        let group = groupEvidence(result, ranks)
        let whole = sumOfSquares(MatrixOperand(tensor.elements))
        let lost = whole > 0 ? max(0, 1 - (result.captured.last ?? 0) / whole) : 0
        let outcomes = tasks.indices.map { index in
            var evidence = group
            // Those of a stack are its own, and stand with its first member.
            if index > 0 { evidence.details["spectra"] = nil }
            evidence.energyKept = energyKept(computed[index], index)
            evidence.roundingError = type == .float32 ? 0 : Self.distance(
                stored[index], computed[index], over: tasks[index].objective.target)
            return CompressionOutcome.compressed(stored[index], evidence)
        }
        return (outcomes, lost)
    }

    /// Σ of the squared errors of the members, each relative to its weight, in the metrics of the objectives.
    func squaredError(_ outcomes: [CompressionOutcome]) -> Double {
        zip(tasks, outcomes).reduce(0) { sum, pair in
            guard case .compressed(let compressed, _) = pair.1 else { return sum }
            let error = pair.0.objective.relativeError(of: compressed)
            return sum + error * error
        }
    }

    /// The operators of factors rounded to a type, with the core fitted to them.
    private func operators(
        _ factors: TuckerFactors, _ storage: TuckerStorage, fits: Bool, type: ElementType
    ) throws(OperatorError) -> [TuckerOperator] {
        var rounded = factors
        rounded.members = factors.members?.rounded(to: type)
        rounded.rows = factors.rows?.rounded(to: type)
        rounded.columns = factors.columns?.rounded(to: type)
        if fits { rounded.core = TuckerCoreFit(layout: storage.layout, factors: rounded).core(for: problem.slices) }
        let parts = storage.parts.map { part in
            part.isIndex
                ? StoredTensor((part.mode.flatMap { rounded.pivots[$0] } ?? []).map(Int32.init), dtype: .i32)
                : StoredTensor(rounded.operand(part.mode, storage.layout), as: type, shape: part.shape)
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
        if problem.layout.kind == .matrix {
            // Both modes have the singular values of the matrix.
            let mode = result.order.first { result.spectra[$0] != nil }
            evidence.details["spectrum"] = mode.flatMap {
                SpectrumSample.json(result.spectra[$0] ?? [], rank: ranks[$0])
            }
        } else {
            evidence.details["spectra"] = .array(
                problem.layout.axes.compactMap { mode in
                    SpectrumSample.json(
                        result.spectra[mode] ?? [], rank: ranks[mode], name: problem.layout.name(of: mode))
                })
        }
        return evidence
    }

    /// 1 − (relative error)² of the numbers before rounding, in the metric of the member.
    private func energyKept(_ compressed: TuckerOperator, _ index: Int) -> Double {
        let error = tasks[index].objective.relativeError(of: compressed)
        return error.isFinite ? max(0, 1 - error * error) : 0
    }

    /// ‖W'₁ − W'₂‖_F / ‖W‖_F
    static func distance(
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
        guard let mode, let factor = self[mode] else {
            return layout.kind == .heads ? MatrixOperand(headsCore) : MatrixOperand(core.elements)
        }
        if let pivots = pivots[mode] {
            let isPivot = Set(pivots), rest = (0..<factor.rows).filter { !isPivot.contains($0) }
            return MatrixOperand(Matrix(rows: rest.count, columns: factor.columns) { factor[rest[$0], $1] })
        }
        let isStoredWide = layout.kind == .matrix && mode == .columns
        return isStoredWide ? MatrixOperand(factor).transposed : MatrixOperand(factor)
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
