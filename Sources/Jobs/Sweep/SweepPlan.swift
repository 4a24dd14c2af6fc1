import Checkpoints
import CommandLineKit
import Planning

/// The points of a sweep with their ranks decided, over one open checkpoint.
///
/// Points that measure errors by the same files share their statistics, and so every Gram matrix and its factor.
struct SweepPlan {
    /// A point, ready to be compressed.
    struct Point {
        let point: SweepPoint
        let prepared: PlannedCompression
        /// nil where its matrices are compressed apart.
        let sequential: SequentialCompression?
        /// Points with the same basis have the same objective for every matrix.
        let basis: Basis
    }

    /// What decides the objective of a matrix.
    struct Basis: Hashable {
        let objective: String
        let files: [String]
        /// Type of the factors.
        let type: String
    }

    let checkpoint: Checkpoint
    let points: [Point]

    /// - Throws: what is wrong with the checkpoint, or with a point, which the error names.
    init(_ request: SweepRequest, _ progress: any ProgressReporter, _ interruption: Interruption) throws {
        let checkpoint = try Checkpoint(path: request.checkpoint, access: request.usesMapping ? .mapped : .read)
        self.checkpoint = checkpoint
        for warning in checkpoint.warnings { progress.log(.warning, "\(warning)") }
        var sources: [Basis: ObjectiveSource] = [:], spectra: [Basis: SpectraCache] = [:]
        points = try request.points.map { point in
            try interruption.check()
            let basis = Basis(point.request)
            do {
                if point.request.allocation.rule != .uniform, spectra[basis] == nil {
                    spectra[basis] = try SpectraCache(point.request, of: checkpoint)
                }
                let prepared = try PlannedCompression(
                    point.request, of: checkpoint, objectives: sources[basis], spectra: spectra[basis], progress,
                    interruption)
                sources[basis] = prepared.objectives
                let sequential = try SequentialCompression.asked(of: prepared, by: point.request.objective, progress)
                return Point(point: point, prepared: prepared, sequential: sequential, basis: basis)
            } catch {
                throw point.naming(error)
            }
        }
    }

    /// Room for finished modules of points that are evaluated or written, and for the checkpoints that are written.
    func neededBytes(_ request: SweepRequest) throws -> Int {
        try points.reduce(0) { total, point in
            let isWritten = request.written.contains(point.point.label)
            let keepsModules = isWritten || request.evaluation != nil || point.sequential != nil
            return try total + (keepsModules ? point.prepared.moduleBytes : 0)
                + (isWritten ? point.prepared.outputBytes : 0)
        }
    }
}

extension SweepPlan.Basis {
    init(_ request: CompressionRequest) {
        objective = request.objective.effectiveKind.rawValue
        files = [request.objective.statistics, request.objective.fisher].map { $0 ?? "" }
        type = request.factorType.map { "\($0)" } ?? "keep"
    }
}

extension SweepPoint {
    /// The error, saying which point it is about.
    func naming(_ error: any Error) -> any Error {
        var failure = Failure(explaining: error)
        if failure.code == .interrupted { return error }
        failure.message = "point \(label): \(failure.message)"
        return failure
    }
}
