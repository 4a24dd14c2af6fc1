import CompressionCore
import LinearAlgebra
import MatrixCore
import Safetensors

/// Ranks from an accuracy: a share of the energy of the group, or a bound on the error of every member.
///
/// The ranks are those whose HOSVD keeps enough; what HOOI gains over it is left as a margin. An error bound must hold
/// for each member and for the numbers as written, so the members are measured, and the share that the group may lose
/// is lowered by what the worst of them exceeds until all are within.
struct TuckerAccuracySearch {
    let form: TuckerForm
    let layout: TuckerLayout
    let spectrum: TuckerSpectrum
    let multiple: Int

    private static let attempts = 8

    init(
        _ tasks: [CompressionTask], _ layout: TuckerLayout, decomposition: TuckerDecomposition, multiple: Int
    ) throws {
        self.layout = layout
        self.multiple = multiple
        form = try TuckerForm(tasks, layout, decomposition: decomposition)
        spectrum = try TuckerSpectrum(form.tensor, layout, route: decomposition.route)
    }

    func outcomes(_ budget: Budget) throws -> [CompressionOutcome] {
        switch budget {
        case .energy(let share):
            return try search(losing: 1 - share, missed: "keep less than the share \(share) of the energy") { _, lost in
                (lost, 1 - share)
            }
        case .error(let bound):
            return try search(losing: bound * bound, missed: "miss the error bound \(bound)") { members, _ in
                let worst = worstError(members)
                return (worst * worst, bound * bound)
            }
        case .keep, .rank, .options:
            preconditionFailure("a size has its ranks from shapes")
        }
    }

    /// Lowers the share that may be lost until what is measured is within its limit.
    private func search(
        losing share: Double, missed: String, measure: ([CompressionOutcome], Double) -> (found: Double, limit: Double)
    ) throws -> [CompressionOutcome] {
        var allowed = share
        for _ in 0..<Self.attempts {
            let ranks = ranks(losing: allowed)
            guard layout.saves(ranks) else { return dense(layout.reason(ranks)) }
            let outcome = try form.outcomes(ranks, layout.storage)
            let (found, limit) = measure(outcome.members, outcome.lost)
            if found <= limit { return outcome.members }
            allowed *= min(0.98, 0.99 * limit / found)
        }
        let type = TensorDType(form.tasks[0].member.factorType).rawValue
        return dense("factors rounded to \(type) \(missed)")
    }

    private func worstError(_ outcomes: [CompressionOutcome]) -> Double {
        zip(form.tasks, outcomes).map { task, outcome in
            if case .compressed(let compressed, _) = outcome { task.objective.relativeError(of: compressed) } else { 0 }
        }.max() ?? 0
    }

    private func dense(_ reason: String) -> [CompressionOutcome] {
        form.tasks.map { _ in .dense(reason) }
    }

    private func ranks(losing share: Double) -> TuckerRanks {
        var ranks = spectrum.ranks(losing: share * spectrum.total)
        if layout.kind == .matrix {
            // Unequal ranks of a matrix buy nothing; the larger one is within the bound.
            let rank = raised(max(ranks.rows, ranks.columns), limit: min(layout.rows, layout.columns))
            return TuckerRanks(members: 1, rows: rank, columns: rank)
        }
        for mode in [TuckerMode.rows, .columns] where ranks[mode] < layout.size(of: mode) {
            ranks[mode] = raised(ranks[mode], limit: layout.size(of: mode))
        }
        return layout.clamped(ranks)
    }

    private func raised(_ rank: Int, limit: Int) -> Int {
        min((rank + multiple - 1) / multiple * multiple, limit)
    }
}
