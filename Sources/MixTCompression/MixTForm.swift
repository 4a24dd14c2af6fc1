import CompressionCore
import MatrixCore

/// The shape of a MixT operator: how a weight W (m × n) is cut by overlapping windows.
///
/// Both sides are padded with zeros, to M × K, so that the base d to the power N divides them. Branch k = 0 … N − 1 is
/// a matrix T_k (p × q) with p = M/d^(N−1), q = K/d^(N−1), which acts between d^k copies of the rows and columns
/// outside of its window and d^(N−1−k) inside:
///
///     W' = (1/N) Σ_k  I_{d^k} ⊗ T_k ⊗ I_{d^(N−1−k)}      without the padding
///
/// - Storage: N·p·q numbers, N/d^(2N−2) of M × K. Cost: N·M·K/d^(N−1) multiply-adds per token, which is not the share
///   of the numbers: each is used d^(N−1) times.
/// - Source: Tensor Mixture, arXiv 2605.25344, §2. The paper pads to powers of d; divisibility by d^N is enough.
public struct MixTForm: Sendable, Equatable {
    /// d.
    public let base: Int
    /// N.
    public let branches: Int
    /// m.
    public let rows: Int
    /// n.
    public let columns: Int
    /// M.
    public let paddedRows: Int
    /// K.
    public let paddedColumns: Int

    /// What the sides of a weight are padded to.
    public enum Padding: String, Sendable, CaseIterable {
        /// The next multiple of d^N: none for most sizes.
        case multiple
        /// The next power of d, as in the paper.
        case power
    }

    /// The form of a weight (rows × columns).
    ///
    /// - Returns: nil where d^N is more than a side: its windows would hold padding only.
    public init?(rows: Int, columns: Int, base: Int, branches: Int, padding: Padding = .multiple) {
        guard base >= 2, branches >= 1, let unit = Self.power(base, branches), unit <= min(rows, columns) else {
            return nil
        }
        func padded(_ side: Int) -> Int {
            switch padding {
            case .multiple:
                return (side + unit - 1) / unit * unit
            case .power:
                var power = unit
                while power < side { power *= base }
                return power
            }
        }
        self.init(
            base: base, branches: branches, size: (rows, columns), padded: (padded(rows), padded(columns)))
    }

    /// The form with the sides given; nil unless they hold the weight and d^N divides them.
    init?(base: Int, branches: Int, size: (rows: Int, columns: Int), padded: (rows: Int, columns: Int)) {
        guard base >= 2, branches >= 1, let unit = Self.power(base, branches), size.rows > 0, size.columns > 0,
            padded.rows >= size.rows, padded.columns >= size.columns,
            padded.rows % unit == 0, padded.columns % unit == 0
        else { return nil }
        self.base = base
        self.branches = branches
        rows = size.rows
        columns = size.columns
        paddedRows = padded.rows
        paddedColumns = padded.columns
    }

    /// The form of the transposed weight.
    var transposed: MixTForm { MixTForm(swapping: self) }

    private init(swapping form: MixTForm) {
        base = form.base
        branches = form.branches
        rows = form.columns
        columns = form.rows
        paddedRows = form.paddedColumns
        paddedColumns = form.paddedRows
    }

    /// Copies of the window of branch k outside of it: d^k.
    public func outer(_ branch: Int) -> Int { power(branch) }
    /// Copies inside of it: d^(N−1−k).
    public func inner(_ branch: Int) -> Int { power(branches - 1 - branch) }
    /// p.
    public var branchRows: Int { paddedRows / power(branches - 1) }
    /// q.
    public var branchColumns: Int { paddedColumns / power(branches - 1) }

    /// Whether there are rows or columns that are zero in the weight and dropped from the operator.
    public var isPadded: Bool { paddedRows != rows || paddedColumns != columns }
    /// Numbers stored.
    public var parameters: Int { branches * branchRows * branchColumns }
    /// Numbers that other numbers make superfluous: what neighbouring windows share, either can hold.
    public var redundantParameters: Int { (branches - 1) * (branchRows / base) * (branchColumns / base) }
    /// Multiply-adds per token, those of the padding included.
    public var macs: Int { branches * paddedRows * paddedColumns / power(branches - 1) }

    /// d^exponent for an exponent that `init` found in range.
    private func power(_ exponent: Int) -> Int { (0..<exponent).reduce(1) { power, _ in power * base } }

    /// d^N; nil where it does not fit a number.
    private static func power(_ base: Int, _ exponent: Int) -> Int? {
        var power = 1
        for _ in 0..<exponent {
            let (product, overflow) = power.multipliedReportingOverflow(by: base)
            if overflow { return nil }
            power = product
        }
        return power
    }
}
