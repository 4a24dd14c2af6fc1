import Foundation
import Synchronization
import Testing

@testable import CommandLineKit

/// What goes to which stream, when.
struct TerminalTests {
    /// A clock that tests turn by hand.
    final class Clock: Sendable {
        private let seconds = Mutex(100.0)
        func pass(_ amount: Double) { seconds.withLock { $0 += amount } }
        var read: @Sendable () -> Double { { self.seconds.withLock { $0 } } }
    }

    let output = TextCapture()

    func terminal(_ errors: TextCapture, clock: Clock = Clock(), _ change: (inout TerminalSettings) -> Void = { _ in })
        -> Terminal
    {
        var settings = TerminalSettings()
        change(&settings)
        return Terminal(program: "sample", settings: settings, output: output, errors: errors, clock: clock.read)
    }

    @Test func aStreamThatDoesNotWaitForItsReaderLosesNothing() throws {
        let pipe = Pipe()
        let descriptor = pipe.fileHandleForWriting.fileDescriptor
        #expect(fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK) == 0)
        // More than a pipe holds.
        let text = String(repeating: "0123456789", count: 50_000)
        let writer = Thread {
            StandardStream(descriptor: descriptor).write(text)
            try? pipe.fileHandleForWriting.close()
        }
        writer.start()
        #expect(try pipe.fileHandleForReading.readToEnd() == Data(text.utf8))
    }

    @Test func progressIsPlainAndRareWithoutATerminal() {
        let errors = TextCapture(), clock = Clock()
        let terminal = terminal(errors, clock: clock)
        terminal.begin(ProgressStage("compress", total: 8, unit: .items("tensors")))
        for index in 1...8 {
            clock.pass(4)
            terminal.advance(by: 1, "layer \(index)")
        }
        terminal.end()
        #expect(
            errors.text == """
                compress: 3/8 tensors (38 %), 0.2/s, 20.0 s left
                compress: 6/8 tensors (75 %), 0.2/s, 8.0 s left
                compress: 8 tensors in 32.0 s

                """)
    }

    @Test func progressIsABarOnATerminal() {
        let errors = TextCapture(isTerminal: true), clock = Clock()
        let terminal = terminal(errors, clock: clock)
        terminal.begin(ProgressStage("write", total: 4_000_000, unit: .bytes))
        clock.pass(2)
        terminal.advance(by: 1_000_000, "a.safetensors")
        terminal.log(.notice, "hello")
        terminal.end()
        let erase = "\r\u{1B}[K"
        // Cut one column before the edge of the terminal.
        let bar = erase + "write [#####---------------] 1.00 MB of 4.00 MB, 500 KB/s, 6.0 s left  a.safete"
        #expect(
            errors.text == erase + "write [--------------------] 0 B of 4.00 MB, –  " + bar + erase + "hello\n" + bar
                + erase + "write: 1.00 MB in 2.0 s\n")
    }

    @Test func workOfAnEarlierRunDoesNotCountIntoTheRate() {
        let errors = TextCapture(), clock = Clock()
        let terminal = terminal(errors, clock: clock)
        terminal.begin(ProgressStage("compress", total: 100, unit: .items("tensors"), alreadyDone: 80))
        clock.pass(10)
        terminal.advance(by: 10, "")
        terminal.end()
        #expect(
            errors.text == """
                compress: 90/100 tensors (90 %), 1.0/s, 10.0 s left
                compress: 90 tensors in 10.0 s, 80 tensors of them before

                """)
    }

    @Test func aStageThatFailsAtOnceSaysNothing() {
        let errors = TextCapture()
        let terminal = terminal(errors)
        terminal.begin(ProgressStage("eval", total: 8, unit: .items("windows")))
        terminal.end()
        #expect(errors.text == "")
        terminal.begin(ProgressStage("eval", total: 0, unit: .items("windows")))
        terminal.end()
        #expect(errors.text == "eval: 0 windows in 0 ms\n")
    }

    @Test func quietShowsOnlyWarningsAndErrors() {
        let errors = TextCapture()
        let terminal = terminal(errors) { $0.isQuiet = true }
        terminal.begin(ProgressStage("x", total: 1, unit: .items("things")))
        terminal.advance(by: 1, "")
        terminal.end()
        terminal.log(.notice, "notice")
        terminal.log(.detail, "detail")
        terminal.log(.warning, "careful")
        #expect(errors.text == "sample: warning: careful\n")
    }

    @Test func detailsNeedVerbose() {
        let errors = TextCapture()
        terminal(errors).log(.detail, "one")
        terminal(errors) { $0.isVerbose = true }.log(.detail, "two")
        #expect(errors.text == "two\n")
    }

    /// On a terminal the longest that fits, and the last where none does; elsewhere there is no width to fit.
    @Test(
        arguments: [(true, 80, false, "0123456789"), (true, 9, false, "01234"), (true, 3, false, "01234")]
            + [(false, 3, false, "0123456789"), (true, 3, true, "0123456789")])
    func linesInSeveralFormsFitATerminal(isTerminal: Bool, columns: Int, isVerbose: Bool, shown: String) {
        let errors = TextCapture(isTerminal: isTerminal, columns: columns)
        terminal(errors) { $0.isVerbose = isVerbose }.log(.notice, longestOf: ["0123456789", "01234"])
        #expect(errors.text == shown + "\n")
    }

    @Test func anErrorIsOneMessageAndOneDocument() {
        let errors = TextCapture()
        let failure = Failure(.badInput, "NaN at row 3, column 1", file: "a.safetensors", tensor: "w\"1")
        terminal(errors) { $0.usesJSON = true }.report(failure)
        #expect(errors.text == "sample: error: a.safetensors: tensor w\"1: NaN at row 3, column 1\n")
        let message = #""message":"a.safetensors: tensor w\"1: NaN at row 3, column 1""#
        let place = #""file":"a.safetensors","tensor":"w\"1""#
        #expect(output.text == #"{"error":{"code":3,"kind":"bad-input",\#(message),\#(place)}}"# + "\n")
    }

    @Test(arguments: [(true, true, true), (true, false, false), (false, true, false)])
    func colorNeedsATerminalAndPermission(isTerminal: Bool, allowed: Bool, colored: Bool) {
        let errors = TextCapture(isTerminal: isTerminal)
        terminal(errors) { $0.usesColor = allowed }.report(Failure(.usage, "no"))
        #expect(errors.text.contains("\u{1B}[1;31m") == colored)
    }

    @Test func resultsTakeTheFormThatWasAskedFor() {
        terminal(TextCapture()).publish(text: { "text" }, json: { "{}" })
        terminal(TextCapture()) { $0.usesJSON = true }.publish(text: { "text" }, json: { "{}" })
        #expect(output.text == "text\n{}\n")
    }

    @Test func tablesFitTheirWidth() {
        var table = TextTable([.left("tensor", shrinks: true), .right("rank"), .left("note")])
        table.add(["model.layers.0.self_attn.q_proj.weight", "64", "ok"])
        table.add(["short", "1024", ""])
        #expect(
            table.text(width: 34) == """
                tensor                  rank  note
                model.l….q_proj.weight    64  ok
                short                   1024

                """)
        #expect(table.text().split(separator: "\n")[1] == "model.layers.0.self_attn.q_proj.weight    64  ok")
    }
}
