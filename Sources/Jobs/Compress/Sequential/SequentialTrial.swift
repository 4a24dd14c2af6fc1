import Checkpoints
import CommandLineKit
import CompressionCore
import Foundation
import Models
import Planning
import Safetensors

/// What plans give in sequence, tried without an output.
///
/// Hidden states wait in the temporary folder of the system, in files without names, which go with the process.
struct SequentialTrial {
    let checkpoint: Checkpoint
    let objectives: ObjectiveSource
    let model: Model
    let sequences: [[Int32]]
    let interruption: Interruption

    /// Whether matrices that are grouped so can be compressed in sequence.
    func isPossible(_ plan: CompressionPlan) throws -> Bool {
        do {
            _ = try SequentialCompression(plan, of: checkpoint, objectives, model, sequences)
            return true
        } catch JobError.usage {
            return false
        }
    }

    /// By module, of those that do not stay dense.
    func operators(of plan: CompressionPlan) throws -> [String: any LinearOperator] {
        let journal = Journal(folder: FileManager.default.temporaryDirectory.path)
        // Nothing is written down: operators are read from what waits in memory.
        let finished = try FinishedGroups(journal, UnitSize(bytes: .max, seconds: .infinity), records: [])
        let compression = GroupCompression(checkpoint: checkpoint, objectives: objectives, finished: finished)
        return try SequentialCompression(plan, of: checkpoint, objectives, model, sequences)
            .run(compression, objectives, journal, SilentProgress(), interruption).operators
    }
}
