import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import software.amazon.event.ruler.Machine;

/**
 * event-ruler, at bench_match's service: for each name of a rule bank on standard input it answers one line, "seconds
 * bytes count count …": this thread's processor time for one pass over all events (the best of two, after one pass that
 * warms up the compiler), the heap that the machine holds, and how many events each rule matched.
 */
public final class Bench {
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();
  private static final int PASSES = 2;

  private final List<String> events;
  private long[] counts;

  private Bench(List<String> events) {
    this.events = events;
  }

  private double pass(Machine machine) throws Exception {
    counts = new long[counts.length];
    long start = THREADS.getCurrentThreadCpuTime();
    for (String event : events)
      for (String rule : machine.rulesForJSONEvent(event)) counts[Integer.parseInt(rule)]++;
    return (THREADS.getCurrentThreadCpuTime() - start) / 1e9;
  }

  private static long heap() {
    for (int i = 0; i < 3; i++) System.gc();
    return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
  }

  private String answer(JsonNode rules) throws Exception {
    counts = new long[rules.size()];
    long before = heap();
    Machine machine = Machine.builder().build();
    for (int i = 0; i < rules.size(); i++) machine.addRule(Integer.toString(i), rules.get(i).asText());
    long held = heap() - before;
    double best = Double.MAX_VALUE;
    pass(machine);
    for (int i = 0; i < PASSES; i++) best = Math.min(best, pass(machine));
    StringBuilder line = new StringBuilder(best + " " + Math.max(held, 0));
    for (long count : counts) line.append(' ').append(count);
    return line.toString();
  }

  public static void main(String[] arguments) throws Exception {
    List<String> events = Files.readAllLines(Path.of(arguments[0]), StandardCharsets.UTF_8);
    JsonNode banks = new ObjectMapper().readTree(new File(arguments[1]));
    Bench bench = new Bench(events);
    BufferedReader names = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String name = names.readLine(); name != null; name = names.readLine()) {
      System.out.println(bench.answer(banks.get(name)));
      System.out.flush();
    }
  }
}
