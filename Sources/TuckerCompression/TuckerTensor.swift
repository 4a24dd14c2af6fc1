import Kernels
import LinearAlgebra
import MatrixCore

/// A stack T (members × heads × rows × columns) in Float, row-major, with the products that a decomposition needs.
///
/// Heads are carried along: they belong to the long side of every unfolding.
struct TuckerTensor {
    let members: Int
    let heads: Int
    let rows: Int
    let columns: Int
    /// (members·heads·rows × columns)
    let elements: Matrix

    init(members: Int, heads: Int, rows: Int, elements: Matrix) {
        precondition(elements.rows == members * heads * rows, "a stack of another height")
        self.members = members
        self.heads = heads
        self.rows = rows
        columns = elements.columns
        self.elements = elements
    }

    var count: Int { elements.count }

    func size(of mode: TuckerMode) -> Int {
        switch mode {
        case .members: members
        case .rows: rows
        case .columns: columns
        }
    }

    /// T with a mode contracted by Uᵀ: its axis becomes that of the columns of U (size × r).
    /// Cost: `count`·r multiply-adds.
    func contracted(_ mode: TuckerMode, by u: Matrix) -> TuckerTensor {
        precondition(u.rows == size(of: mode), "a factor of another size")
        switch mode {
        case .columns:
            var result = Matrix(uninitializedRows: elements.rows, columns: u.columns)
            multiply(MatrixOperand(elements), MatrixOperand(u), into: result.mutableView())
            return TuckerTensor(members: members, heads: heads, rows: rows, elements: result)
        case .members:
            var result = Matrix(uninitializedRows: u.columns * heads * rows, columns: columns)
            let target = result.mutableView()
            multiply(
                MatrixOperand(u).transposed, memberUnfolding,
                into: MutableMatrixView(
                    base: target.base, rows: u.columns, columns: count / members, rowStride: count / members,
                    owner: target.owner))
            return TuckerTensor(members: u.columns, heads: heads, rows: rows, elements: result)
        case .rows:
            return TuckerTensor(
                members: members, heads: heads, rows: u.columns,
                elements: MatrixOperand(elements).blockProduct(MatrixOperand(u).transposed, rowsPerBlock: rows))
        }
    }

    /// The vectors of a mode that capture most: leading left singular vectors of its unfolding (size × others).
    ///
    /// - Method: eigenvectors of the Gram matrix of the unfolding in Double; `TruncatedSVD` on the unfolding itself
    ///   where the mode is the long side or another route is asked for.
    /// - Returns: U (size × count), orthonormal columns, and the singular values of the unfolding, descending.
    func leadingVectors(
        _ mode: TuckerMode, count: Int, route: TruncatedSVD.Route
    ) throws(LinearAlgebraError) -> (vectors: Matrix, spectrum: [Double]) {
        let size = size(of: mode)
        if route == .automatic || route == .gram, self.count / size >= size {
            let eigen = try SymmetricEigen().decompose(gram(mode), vectors: count)
            var vectors = Matrix(uninitializedRows: size, columns: count)
            convert(MatrixOperand(eigen.vectors), into: MutableMatrixOperand(vectors.mutableView()))
            return (vectors, eigen.values.map { max($0, 0).squareRoot() })
        }
        let result = try TruncatedSVD(route: route).decompose(unfolding(mode), rank: count)
        // Vectors of vanishing singular values may lie in the span of the others; the factor is orthonormal always.
        return (try ThinQR(result.u.view).q, result.singularValues)
    }

    /// The Gram matrix of an unfolding (size × size), in Double.
    func gram(_ mode: TuckerMode) -> Matrix64 {
        let size = size(of: mode)
        var gram = Matrix64(rows: size, columns: size)
        let target = gram.mutableView()
        switch mode {
        case .columns:
            multiplyByTranspose(MatrixOperand(elements).transposed, into: target)
        case .members:
            multiplyByTranspose(memberUnfolding, into: target)
        case .rows:
            for block in 0..<members * heads {
                let part = MatrixOperand(elements).rows(block * rows..<(block + 1) * rows)
                multiplyByTranspose(part, into: target, beta: block == 0 ? 0 : 1)
            }
        }
        return gram
    }

    /// (members × heads·rows·columns), no copy.
    private var memberUnfolding: MatrixOperand {
        let view = elements.view
        return MatrixOperand(
            base: UnsafeRawPointer(view.base), type: .float32, rows: members, columns: count / max(members, 1),
            rowStride: count / max(members, 1), owner: view.owner)
    }

    /// (size × others); a copy for the rows of several blocks.
    private func unfolding(_ mode: TuckerMode) -> MatrixOperand {
        switch mode {
        case .columns: return MatrixOperand(elements).transposed
        case .members: return memberUnfolding
        case .rows:
            if members * heads == 1 { return MatrixOperand(elements) }
            var result = Matrix(uninitializedRows: rows, columns: members * heads * columns)
            let target = result.mutableView()
            for block in 0..<members * heads {
                convert(
                    MatrixOperand(elements).rows(block * rows..<(block + 1) * rows),
                    into: MutableMatrixOperand(target.columns(block * columns..<(block + 1) * columns)))
            }
            return MatrixOperand(result)
        }
    }
}

extension MatrixOperand {
    /// (I ⊗ p) · self for self (b·rowsPerBlock × n) and p (r × rowsPerBlock): every block of rows is multiplied by p.
    func blockProduct(_ p: MatrixOperand, rowsPerBlock: Int) -> Matrix {
        precondition(p.columns == rowsPerBlock && rows % max(rowsPerBlock, 1) == 0, "blocks of another size")
        let blocks = rows / rowsPerBlock
        var result = Matrix(uninitializedRows: blocks * p.rows, columns: columns)
        let target = result.mutableView()
        let product: @Sendable (Int) -> Void = { block in
            multiply(
                p, self.rows(block * rowsPerBlock..<(block + 1) * rowsPerBlock),
                into: target.rows(block * p.rows..<(block + 1) * p.rows))
        }
        // Many small products side by side, few large ones one after the other.
        if blocks < Threads.count * 2 {
            for block in 0..<blocks { product(block) }
        } else {
            parallelFor(blocks, product)
        }
        return result
    }
}
