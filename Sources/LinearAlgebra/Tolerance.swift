import MatrixCore

/// Every threshold of the floor: c · ε · √size · norm, in one place.
///
/// √size is how rounding errors of a sum of `size` terms grow in practice; the bounds proven for the worst case grow
/// with `size` itself and would call well-conditioned matrices deficient (Higham, Accuracy and Stability, §2.8, §3.1).
public enum Tolerance {
    /// What rounding leaves in a result of the given size and norm: c · ε · √size · norm.
    /// - Parameters:
    ///   - factor: c, how many rounding steps deep the computation is.
    ///   - norm: of the input, in the units of the result.
    public static func rounding(_ type: ElementType, size: Int, norm: Double, factor: Double = 8) -> Double {
        factor * type.epsilon * Double(max(size, 1)).squareRoot() * norm
    }

    /// Below this, a diagonal entry of R counts as zero; `largest` is the largest diagonal entry (or column norm).
    public static func rank(_ type: ElementType, rows: Int, columns: Int, largest: Double) -> Double {
        rounding(type, size: max(rows, columns), norm: largest)
    }

    /// Below this, a pivot of a Cholesky factorisation is rounding noise; `diagonal` is the entry it started from.
    ///
    /// Relative to its own diagonal entry, not to the largest one: Cholesky is invariant to diagonal scaling, so a
    /// matrix with small but sound channels passes (van der Sluis 1969).
    public static func pivot(_ type: ElementType, size: Int, diagonal: Double) -> Double {
        rounding(type, size: size, norm: diagonal, factor: 1)
    }

    /// A downdated column norm below this share of the last norm that was computed has lost half of its digits and is
    /// computed again (Drmač and Bujanović 2008; `tol3z` of LAPACK).
    public static func normRecomputation(_ type: ElementType) -> Double {
        type.epsilon.squareRoot()
    }

    /// Off-diagonal entries below this share of √(a_ii · a_jj) end a Jacobi or QL iteration.
    public static func offDiagonal(_ type: ElementType, size: Int) -> Double {
        rounding(type, size: size, norm: 1, factor: 1)
    }
}
