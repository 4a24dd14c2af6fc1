import CommandLineKit
import Foundation
import Safetensors

/// An output that is built beside its final name and appears whole, by one rename.
///
///     let report = try StagedOutput.write(request, resumable: fingerprint) { staged in
///         // staged.journal: finished units of this and of interrupted runs
///         // staged.path: an empty folder (or, for a file, its path); everything put there becomes the output
///     }
///
/// For an output `a/out` the work lies in `a/.out.lowrank-partial`:
///
///     lock           held by the run that writes
///     journal.json   the fingerprint of the run
///     units/         finished units, see `Journal`
///     shards/        parts of the output that are finished before it, where the job writes such
///     output         becomes `a/out`; always made anew, so that a resumed run gives the bytes of one never stopped
///
/// How it ends:
///
/// - done: everything is forced to the disk and renamed. An output that is replaced stays untouched until then.
/// - interrupted, or refused by the machine (no space): finished units stay, and `--resume` goes on from them.
/// - any other error, which would only happen again: nothing stays.
/// - killed: the lock ends with the process; finished units stay.
///
/// What is left is found by the next run for the same output: `--resume` continues it if its fingerprint is the same
/// and is an error if not; `--force` discards it; with neither, the run is refused if a unit was finished, so that
/// hours of work are not lost to a forgotten flag.
public struct StagedOutput: Sendable {
    /// The empty folder to fill, or the path of the file to write.
    public let path: String
    public let journal: Journal
    /// A folder for parts of the output that are finished before it; kept as long as the journal, and not made yet.
    let shards: String
    /// Units that earlier runs finished; above 0 only with `--resume`.
    public let unitsAtStart: Int

    /// Runs `body` and makes what it wrote the output.
    ///
    /// - Parameter fingerprint: nil for a job too short to be continued: its journal is empty and nothing of it stays.
    /// - Throws: `JobError` if the output is refused; `FileError` of the system; what `body` throws.
    public static func write<Result>(
        _ request: OutputRequest, resumable fingerprint: RunFingerprint?, _ body: (StagedOutput) throws -> Result
    ) throws -> Result {
        let place = try request.resolve()
        try makeParents(of: place)
        let lock = try OutputLock(place)
        defer { withExtendedLifetime(lock) {} }
        var hasBegun = false
        do {
            try recover(place)
            // Again, now that no other run can change the answer.
            _ = try request.resolve()
            let staged = try open(place, request, fingerprint)
            hasBegun = true
            let result = try body(staged)
            try commit(place)
            return result
        } catch {
            throw close(place, after: error, isResumable: fingerprint != nil, wasRefused: !hasBegun)
        }
    }

    // MARK: Beginning

    private static func makeParents(of place: OutputPath) throws {
        do {
            try FileManager.default.createDirectory(atPath: place.parent, withIntermediateDirectories: true)
        } catch {
            throw FileError(.create, place.parent, code: errno)
        }
    }

    /// Brings the folder into order after a run that was killed while it replaced an output.
    private static func recover(_ place: OutputPath) throws {
        if try FileSystem.entry(at: place.previous) != nil {
            if try FileSystem.entry(at: place.resolved) == nil {
                try FileSystem.rename(place.previous, to: place.resolved)
            } else {
                try FileSystem.removeTree(place.previous)
            }
        }
        try FileSystem.removeTree(place.trash)
    }

    /// Decides what becomes of earlier work, and makes the places to write.
    private static func open(
        _ place: OutputPath, _ request: OutputRequest, _ fingerprint: RunFingerprint?
    ) throws -> StagedOutput {
        let journalPath = place.staging + "/journal.json", units = place.staging + "/units"
        let shards = place.staging + "/shards"
        try FileSystem.makeFolder(units)
        let journal = Journal(folder: units)
        var unitsAtStart = try journal.finishedUnits()
        if try unitsAtStart > 0 && FileSystem.entry(at: journalPath) != nil {
            if request.resume, let fingerprint {
                try requireSame(fingerprint, journalPath, place)
            } else if request.force {
                unitsAtStart = 0
            } else {
                throw JobError.leftovers(
                    folder: place.staging, work: try journal.finishedWork(), canResume: fingerprint != nil)
            }
        } else {
            unitsAtStart = 0
        }
        if unitsAtStart == 0 {
            try FileSystem.removeTree(journalPath)
            try FileSystem.removeTree(units)
            try FileSystem.removeTree(shards)
            try FileSystem.makeFolder(units)
            if let fingerprint { try AtomicFile.write(fingerprint.json.text(pretty: true), to: journalPath) }
        }
        let output = place.staging + "/output"
        try FileSystem.removeTree(output)
        if request.kind == .folder { try FileSystem.makeFolder(output) }
        return StagedOutput(path: output, journal: journal, shards: shards, unitsAtStart: unitsAtStart)
    }

    private static func requireSame(_ now: RunFingerprint, _ journalPath: String, _ place: OutputPath) throws {
        guard let earlier = RunFingerprint(try JSON.parse(file: journalPath)) else {
            throw JobError.journalMismatch(folder: place.staging, differences: ["its journal is of another version"])
        }
        let differences = now.differences(from: earlier)
        if !differences.isEmpty { throw JobError.journalMismatch(folder: place.staging, differences: differences) }
    }

    // MARK: Ending

    /// Makes the staged output the output.
    private static func commit(_ place: OutputPath) throws {
        let output = place.staging + "/output"
        try FileSystem.synchroniseTree(output)
        switch try FileSystem.entry(at: place.resolved) {
        case .folder where try !FileSystem.names(in: place.resolved).isEmpty:
            if try !FileSystem.exchange(output, place.resolved) { try replaceInTwoSteps(output, place) }
        default:
            // Renaming over an empty folder, or over a file, is one step everywhere.
            try FileSystem.rename(output, to: place.resolved)
        }
        try synchroniseFolder(of: place.resolved)
        discard(place)
    }

    /// Puts the old output aside and the new one in its place; the old one returns if that fails.
    private static func replaceInTwoSteps(_ output: String, _ place: OutputPath) throws {
        try FileSystem.rename(place.resolved, to: place.previous)
        do {
            try FileSystem.rename(output, to: place.resolved)
        } catch {
            try FileSystem.rename(place.previous, to: place.resolved)
            throw error
        }
        try FileSystem.removeTree(place.previous)
    }

    /// Cleans up after an error as far as nothing of use is lost.
    /// - Parameter wasRefused: The run never began, so earlier work is not its to discard.
    /// - Returns: The error to throw, which says what is kept.
    private static func close(
        _ place: OutputPath, after error: any Error, isResumable: Bool, wasRefused: Bool
    ) -> any Error {
        let units = (try? Journal(folder: place.staging + "/units").finishedUnits()) ?? 0
        var failure = Failure(explaining: error)
        let isWorthKeeping = wasRefused || failure.code == .interrupted || failure.code == .inputOutput
        guard units > 0 && isWorthKeeping && (isResumable || wasRefused) else {
            discard(place)
            return error
        }
        try? FileSystem.removeTree(place.staging + "/output")
        if wasRefused { return error }
        if case JobError.interrupted = error { return JobError.interrupted(kept: place.staging) }
        failure.message += "; finished work is kept in \(place.staging), the same command with --resume continues it"
        return failure
    }

    /// Removes the staging folder. It gets another name first: whoever looks for it finds it whole or not at all.
    private static func discard(_ place: OutputPath) {
        // The output is complete, or an error is on its way; trash that stays is removed by the next run.
        try? FileSystem.removeTree(place.trash)
        if (try? FileSystem.rename(place.staging, to: place.trash)) != nil { try? FileSystem.removeTree(place.trash) }
    }
}
