import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

/// A member of a stack in a metric of its own, the factors that the group shares as they are.
///
/// Its core is solved for exactly (`TuckerCoreFit`). Where members are combinations of the cores they share, its
/// weights are: ‖L_oᵀ(T − Σ_a u_a X_a)L_i‖² is least for Σ_b ⟨X_a, H X_b G⟩ u_b = ⟨X_a, H T G⟩, with X_a what the core
/// a gives. A row of the members' factor that is a pivot belongs to the identity and stays.
///
/// - Cost: that of `TuckerCoreFit` for one member; for combinations a product of the size of the weight with its
///   metrics for every core.
extension TuckerOperator: RefittableOperator {
    public func refitted(to objective: Objective) throws -> TuckerOperator {
        storage.ranks.members == storage.layout.members
            ? try withFittedCore(objective) : try withFittedWeights(objective)
    }

    // MARK: Cores

    private func withFittedCore(_ objective: Objective) throws -> TuckerOperator {
        let layout = TuckerLayout(
            kind: storage.layout.kind, heads: map.heads, rows: map.height / map.heads, columns: map.width,
            transposed: [map.isTransposed])
        let factors = TuckerFactors(
            PerMode(
                members: nil, rows: map.rowFactor.map(Matrix.init(converting:)),
                columns: map.columnFactor.map(Matrix.init(converting:))),
            core: TuckerTensor(
                members: 1, heads: map.heads, rows: map.core.rows / map.heads, elements: Matrix(converting: map.core)))
        let slice = TuckerSlice(objective, transposed: map.isTransposed)
        let core = TuckerCoreFit(layout: layout, factors: factors).core(for: [slice])
        return try replacing(nil) { place(core.elements, in: &$0) }
    }

    /// Puts C_k (heads·r₂ × r₃) into the core of the group, flat as it is stored.
    private func place(_ core: Matrix, in stored: inout Matrix) {
        let target = stored.mutableView(), columns = core.columns, height = core.rows
        let members = storage.ranks.members
        for i in 0..<height {
            for j in 0..<columns {
                let position: Int =
                    switch storage.layout.kind {
                    case .matrix, .stack: (member * height + i) * columns + j
                    case .heads: (j * height + i) * members + member
                    }
                target.base[position] = core[i, j]
            }
        }
    }

    // MARK: Combinations

    private func withFittedWeights(_ objective: Objective) throws -> TuckerOperator {
        let count = storage.ranks.members
        let index = storage.parts.firstIndex { $0.mode == .members && $0.isIndex }
        let pivots = index.map { parts[$0].array(of: Int32.self).map(Int.init) } ?? []
        if pivots.contains(member) { return self }
        let row = member - pivots.count { $0 < member }
        let images = try (0..<count).map { try image(ofCore: $0, row: row) }
        let weighed = images.map { objective.weighed(MatrixOperand($0)) }
        var gram = Matrix64(rows: count, columns: count), right = Matrix64(rows: count, columns: 1)
        for a in 0..<count {
            for b in 0..<count { gram[a, b] = innerProduct(MatrixOperand(images[a]), weighed[b]) }
            right[a, 0] = innerProduct(weighed[a], objective.target)
        }
        guard let solved = try? NormalEquations(gram: gram, right: right) else { return self }
        return try replacing(.members) { factor in
            for a in 0..<count { factor[row, a] = Float(solved.solution[a, 0]) }
        }
    }

    /// X_a: W' of this member with the weight 1 for one core and 0 for the others.
    private func image(ofCore core: Int, row: Int) throws -> Matrix {
        try replacing(.members) { factor in
            for a in 0..<factor.columns { factor[row, a] = a == core ? 1 : 0 }
        }.reconstruct()
    }

    // MARK: Tensors

    /// The operator with another factor of a mode, or core for nil, rounded to the type it is stored in.
    private func replacing(_ mode: TuckerMode?, _ change: (inout Matrix) -> Void) throws -> TuckerOperator {
        guard let place = storage.parts.firstIndex(where: { $0.mode == mode && !$0.isIndex }),
            let type = parts[place].dtype.elementType, var numbers = parts[place].floats
        else { return self }
        change(&numbers)
        var parts = parts
        parts[place] = StoredTensor(MatrixOperand(numbers), as: type, shape: parts[place].shape)
        return try TuckerOperator(member: member, of: storage, parts: parts)
    }
}
